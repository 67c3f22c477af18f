# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Waiting for a vSphere task, without losing the ability to stop."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Optional

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors

_POLL = 1  # seconds one WaitForUpdatesEx may block, so that a cancel is noticed


class TaskFailed(errors.VmsnapError):
    """A vSphere task ended with a fault; `fault` is that fault."""

    def __init__(self, doing: str, fault: Optional[vmodl.MethodFault]) -> None:
        super().__init__(f"{doing} failed: {describe(fault)}")
        self.fault = fault


class Waiter:
    """Waits for tasks of one session; `cancel` ends a wait from another thread."""

    def __init__(self, content: Any, cancel: Optional[threading.Event] = None) -> None:
        self._collector = content.propertyCollector
        self._cancel = cancel

    def wait(
        self,
        task: Any,
        doing: str,
        *,
        timeout: Optional[float] = None,
        heed_cancel: bool = True,
        progress: Optional[Callable[[int], None]] = None,
    ) -> Any:
        """Wait for `task` and return its result. `doing` begins the error's message.

        `timeout` is in seconds. Raises TaskFailed (also when the time is up) and errors.Canceled;
        a wait for cleaning up does not heed the cancel.
        """
        spec = vmodl.query.PropertyCollector.FilterSpec(
            objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=task)],
            propSet=[vmodl.query.PropertyCollector.PropertySpec(type=vim.Task, pathSet=["info"])],
        )
        began = time.monotonic()
        watch = self._collector.CreateFilter(spec, True)
        try:
            version = ""
            options = vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=_POLL)
            while True:
                if heed_cancel and self._cancel is not None and self._cancel.is_set():
                    raise errors.Canceled(f"{doing} was interrupted: the job was canceled")
                if timeout is not None and time.monotonic() - began > timeout:
                    raise TaskFailed(f"{doing} (no end after {timeout:.0f} s)", None)
                update = self._collector.WaitForUpdatesEx(version, options)
                if update is None:
                    continue
                version = update.version
                info = task.info
                if info.state == "success":
                    return info.result
                if info.state == "error":
                    raise TaskFailed(doing, info.error)
                if progress is not None and info.progress is not None:
                    progress(info.progress)
        finally:
            watch.Destroy()


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
