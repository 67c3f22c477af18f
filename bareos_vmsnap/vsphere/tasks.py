# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Waiting for a vSphere task, without losing the ability to stop."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Optional

from pyVmomi import vmodl

from bareos_vmsnap import errors

# Seconds between two looks at a task; within these, that part of the time it has already taken.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_PART = 0.2


class TaskFailedError(errors.VmsnapError):
    """A vSphere task ended with a fault; `fault` is that fault."""

    id = "task-failed"

    def __init__(
        self, doing: str, fault: Optional[vmodl.MethodFault], *, id: Optional[str] = None
    ) -> None:
        super().__init__(f"{doing} failed: {describe(fault)}", id=id)
        self.fault = fault


class Waiter:
    """Waits for tasks; `cancel` ends a wait from another thread.

    The task is asked again and again rather than watched with a filter of the property collector:
    filters end with the session, and a long task outlives many a session.
    """

    def __init__(self, cancel: Optional[threading.Event] = None) -> None:
        self._cancel = cancel or threading.Event()

    def wait(
        self,
        task: Any,
        doing: str,
        *,
        timeout: Optional[float] = None,
        heed_cancel: bool = True,
    ) -> Any:
        """Wait for `task` and return its result. `doing` begins the error's message.

        A canceled job asks the task to stop, and waits for its end: what it makes must be known to
        be cleaned up. A task that could not be stopped returns its result all the same. A wait for
        cleaning up does not heed the cancel. `timeout` is in seconds. Raises TaskFailedError (also when
        the time is up) and errors.Canceled.
        """
        began = time.monotonic()
        stopping = False
        while True:
            info = task.info
            if info.state == "success":
                return info.result
            if info.state == "error" and stopping:
                raise errors.Canceled(f"{doing} was interrupted: the job was canceled")
            if info.state == "error":
                raise TaskFailedError(doing, info.error)
            taken = time.monotonic() - began
            if timeout is not None and taken > timeout:
                raise TaskFailedError(
                    f"{doing} (no end after {timeout:.0f} s)", None, id="task-late"
                )
            pause = min(max(_PART * taken, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            if not heed_cancel or stopping:
                time.sleep(pause)
            elif self._cancel.wait(pause):
                stopping = True
                # Some tasks cannot be stopped, and not every user may.
                with contextlib.suppress(vmodl.MethodFault):
                    task.CancelTask()


def describe(fault: Optional[Any]) -> str:
    """A fault in words: its type, what it says, and the messages vSphere attached."""
    if fault is None:
        return "vSphere gave no reason"
    said = [fault.msg] if getattr(fault, "msg", None) else []
    for message in getattr(fault, "faultMessage", None) or []:
        if message.message and message.message not in said:
            said.append(message.message)
    for name in ("name", "file", "property", "privilegeId", "invalidProperty"):
        value = getattr(fault, name, None)
        if value and isinstance(value, str) and not any(value in text for text in said):
            said.append(f"{name} {value}")
    kind = type(fault).__name__.rsplit(".", 1)[-1]
    return f"{kind}: {'; '.join(said)}" if said else kind
