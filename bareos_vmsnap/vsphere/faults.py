# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Faults of vSphere that nobody has caught, explained to an admin."""

from __future__ import annotations

from pyVmomi import vmodl

from bareos_vmsnap import errors, system_errors
from bareos_vmsnap.vsphere import tasks


class VsphereError(errors.VmsnapError):
    """vSphere refused a call."""

    id = "vsphere-refused"


def translated(error: BaseException) -> errors.VmsnapError:
    """Like system_errors.translated(), which does not know vSphere."""
    if not isinstance(error, vmodl.MethodFault):
        return system_errors.translated(error)
    explained = VsphereError(f"vSphere refused a call: {tasks.describe(error)}")
    explained.__cause__ = error
    return explained
