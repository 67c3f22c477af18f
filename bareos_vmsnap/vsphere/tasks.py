# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Waiting for a vSphere task in a way that can be canceled."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Optional

from pyVmomi import vmodl

from bareos_vmsnap import errors

# Seconds between two polls of a task: a part of the time it has taken so far, within these limits.
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

    The task is polled rather than watched with a filter of the property collector: filters end with
    the session, and a long task may outlive several sessions.
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

        On a cancel the task is asked to stop, and its end awaited: what it made must be known in
        order to be cleaned up. A task that could not be stopped still returns its result. Waits of
        a cleanup ignore the cancel (`heed_cancel`). `timeout` is in seconds. Raises TaskFailedError
        (also on timeout) and errors.Canceled.
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
                # Some tasks cannot be stopped, and not every user may stop one.
                with contextlib.suppress(vmodl.MethodFault):
                    task.CancelTask()


def describe(fault: Optional[Any]) -> str:
    """A fault as text: its type, its message, and the messages vSphere attached."""
    if fault is None:
        return "vSphere gave no reason"
    texts = [fault.msg] if getattr(fault, "msg", None) else []
    for message in getattr(fault, "faultMessage", None) or []:
        if message.message and message.message not in texts:
            texts.append(message.message)
    for name in ("name", "file", "property", "privilegeId", "invalidProperty"):
        value = getattr(fault, name, None)
        if value and isinstance(value, str) and not any(value in text for text in texts):
            texts.append(f"{name} {value}")
    kind = type(fault).__name__.rsplit(".", 1)[-1]
    return f"{kind}: {'; '.join(texts)}" if texts else kind
