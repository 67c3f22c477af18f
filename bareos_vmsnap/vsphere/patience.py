# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Trying again what failed with a fault that may pass."""

from __future__ import annotations

import time
from typing import Callable, Optional, TypeVar

from pyVmomi import vim, vmodl

from bareos_vmsnap.vsphere import tasks

_Result = TypeVar("_Result")

# Another task of the VM is running, or the host or a service of vSphere's does not answer.
_PASSING = (
    vim.fault.TaskInProgress,
    vim.fault.ConcurrentAccess,
    vim.fault.InvalidState,
    vim.fault.Timedout,
    vmodl.fault.HostCommunication,
    vmodl.fault.SystemError,
    vmodl.fault.RequestCanceled,
)
# Seconds.
_LONGEST, _SHORTEST_PAUSE, _LONGEST_PAUSE = 300.0, 1.0, 15.0


class Patience:
    """Some minutes, counted from its creation, for all that is called through it together."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _LONGEST

    def call(self, act: Callable[[], _Result]) -> _Result:
        """What `act` returns, which is called again, after growing pauses, while it fails with a
        fault that may pass. Raises what it raised last.
        """
        pause = _SHORTEST_PAUSE
        while True:
            try:
                return act()
            except (vmodl.MethodFault, tasks.TaskFailedError, tasks.EndUnknownError) as error:
                if not _may_pass(error) or time.monotonic() > self._until:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, tasks.EndUnknownError):
        return True
    fault: Optional[Exception] = error
    if isinstance(error, tasks.TaskFailedError):
        fault = error.fault
    # Of the many kinds of runtime faults most would only come again.
    return type(fault) is vmodl.RuntimeFault or isinstance(fault, _PASSING)
