# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A simulated vCenter: SOAP over TLS to an unmodified pyVmomi, real disks behind it.

Layers, each knowing those below it only:

web: HTTPS; soap: requests decoded, dispatched and answered with pyVmomi's own type tables;
services, collector: the managed objects of the service; vm, snapshots, inventory: the objects
of the inventory and the rules they follow; below all of them the storage, with the disks.

What a class does not simulate, its docstring lists; asking for it raises NotSupported.
"""

from __future__ import annotations

from vmsnap_lab.vcenter.habits import Habits

__all__ = ["Habits"]
