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
from bareos_vmsnap.vsphere.session import SessionError

# Seconds between two polls of a task: a part of the time it has taken so far, within these limits.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_PART = 0.2
# While vSphere does not answer, pauses grow to that part of the silence, which lasts so long at most.
_LONGEST_UNANSWERED_PAUSE = 10.0
_LONGEST_SILENCE = 60.0
# The other errors of a session are not tried again: refused logins may lock the account.
_PASSING = ("server-unreachable", "server-not-vsphere")


class TaskFailedError(errors.VmsnapError):
    """A vSphere task ended with a fault; `fault` is that fault."""

    id = "task-failed"

    def __init__(
        self, doing: str, fault: Optional[vmodl.MethodFault], *, id: Optional[str] = None
    ) -> None:
        super().__init__(f"{doing} failed: {describe(fault)}", id=id)
        self.fault = fault


class EndUnknownError(errors.VmsnapError):
    """How a task ended, or whether it did, cannot be learnt: it may have had its effect, or may
    have it yet. `task` is that task, to be asked once more in a cleanup.
    """

    id = "task-end-unknown"

    def __init__(self, doing: str, task: Any, cause: BaseException) -> None:
        why = describe(cause) if isinstance(cause, vmodl.MethodFault) else str(cause)
        super().__init__(f"{doing}: vSphere does not tell how that ended ({why})")
        self.task = task


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
        """Wait for `task` and return its result; see `finished`."""
        info = self.finished(task, doing, timeout=timeout, heed_cancel=heed_cancel)
        return info.result

    def finished(
        self,
        task: Any,
        doing: str,
        *,
        timeout: Optional[float] = None,
        heed_cancel: bool = True,
    ) -> Any:
        """Wait for `task` and return its TaskInfo. `doing` begins the error's message.

        On a cancel the task is asked to stop, and its end awaited: what it made must be known in
        order to be cleaned up. A task that could not be stopped still returns its result. Waits of
        a cleanup ignore the cancel (`heed_cancel`). `timeout` is in seconds. A fault of the question
        is none of the task, and it is asked again. Raises TaskFailedError (also on timeout),
        errors.Canceled, and EndUnknownError after a minute without an answer.
        """
        began = answered = time.monotonic()
        stopping = False
        while True:
            silence: Optional[Exception] = None
            try:
                info = task.info
            except (vmodl.MethodFault, SessionError) as error:
                silence = error
            now = time.monotonic()
            if silence is not None:
                if _is_final(silence) or now - answered > _LONGEST_SILENCE:
                    raise EndUnknownError(doing, task, silence) from silence
                pause = _pause(now - answered, _LONGEST_UNANSWERED_PAUSE)
            else:
                answered = now
                if info.state == "success":
                    return info
                if info.state == "error" and stopping:
                    raise errors.Canceled(f"{doing} was interrupted: the job was canceled")
                if info.state == "error":
                    raise TaskFailedError(doing, info.error)
                pause = _pause(now - began, _LONGEST_PAUSE)
            if timeout is not None and now - began > timeout:
                raise TaskFailedError(
                    f"{doing} (no end after {timeout:.0f} s)", None, id="task-late"
                )
            if not heed_cancel or stopping:
                time.sleep(pause)
            elif self._cancel.wait(pause):
                stopping = True
                # Some tasks cannot be stopped, and not every user may stop one.
                with contextlib.suppress(vmodl.MethodFault, SessionError):
                    task.CancelTask()


def under_way(entity: Any, *methods: str) -> list[Any]:
    """The recent tasks of an entity that have not ended, of these methods ("createSnapshot")."""
    found = []
    for task in entity.recentTask:
        # vSphere forgets tasks that have ended.
        with contextlib.suppress(vmodl.fault.ManagedObjectNotFound):
            info = task.info
            what = (info.descriptionId or info.name or "").lower()
            if info.state in ("queued", "running") and any(m.lower() in what for m in methods):
                found.append(task)
    return found


def _pause(taken: float, longest: float) -> float:
    return min(max(_PART * taken, _SHORTEST_PAUSE), longest)


def _is_final(error: Exception) -> bool:
    """Whether asking again is useless: vSphere has forgotten the task, or lets us in no more."""
    if isinstance(error, SessionError):
        return error.id not in _PASSING
    return isinstance(error, vmodl.fault.ManagedObjectNotFound)


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
