# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One task: work that runs behind a call and reports on itself."""

from __future__ import annotations

import copy
import logging
import threading
import time
from typing import Any, Callable, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import faults, properties
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.world import World

log = logging.getLogger(__name__)

State = vim.TaskInfo.State
STEPS = 10  # of progress while a slow task waits


class Task(Managed):
    """Its `info` is replaced, never changed, so that what was read stays as it was."""

    TYPE = vim.Task

    def __init__(self, vcenter: World, moid: str, info: Any) -> None:
        super().__init__(vcenter, moid)
        info.task = self.ref
        info.key = moid
        self.info = info
        self._thread: Optional[threading.Thread] = None

    @property
    def is_over(self) -> bool:
        return self.info.state in (State.success, State.error)

    def update(self, **changes: Any) -> None:
        with self.vcenter.lock:
            info = copy.copy(self.info)
            for name, value in changes.items():
                setattr(info, name, value)
            self.info = info
        self.vcenter.notify()

    def progress(self, percent: int) -> None:
        self.update(progress=percent)

    def check_cancelled(self) -> None:
        """Raises RequestCanceled after a client cancelled the task."""
        if self.info.cancelled:
            raise vmodl.fault.RequestCanceled(msg="The task was canceled by a user.")

    def start(self, work: Callable[[Task], Any], method: str, release: Callable[[], None]) -> None:
        """`run` in a thread of its own."""
        self._thread = threading.Thread(
            target=self.run, args=(work, method, release), name=self.moid, daemon=True
        )
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the task's thread to end, if it is not the present one."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def run(self, work: Callable[[Task], Any], method: str, release: Callable[[], None]) -> None:
        """Do the work, call `release`, and settle the task with its result or its fault."""
        outcome: dict[str, Any]
        try:
            self.update(state=State.running, startTime=self.vcenter.now())
            self._linger(self.vcenter.habits.seconds_of(method))
            failure = self.vcenter.habits.next_failure(method, connection=False)
            if failure is not None and not failure.after:
                raise failure.fault
            result = work(self)
            if failure is not None:
                raise failure.fault
            outcome = {"state": State.success, "result": properties.typed(result, object)}
        except vmodl.MethodFault as fault:
            outcome = {"state": State.error, "error": fault}
        except StorageError as error:
            outcome = {"state": State.error, "error": faults.from_storage(error)}
        except Exception as error:
            log.exception("The simulation failed in %s", method)
            outcome = {"state": State.error, "error": faults.internal(error)}
        release()  # first: who sees the end of a task may start the next one
        self.settle(**outcome)

    def settle(self, **outcome: Any) -> None:
        self.update(completeTime=self.vcenter.now(), progress=None, cancelable=False, **outcome)

    def _linger(self, seconds: float) -> None:
        if seconds <= 0:
            return
        for step in range(STEPS):
            if self.vcenter.closing.is_set():
                raise vmodl.fault.RequestCanceled(msg="The service is shutting down")
            self.check_cancelled()
            self.progress(step * 100 // STEPS)
            self.vcenter.closing.wait(seconds / STEPS)
        self.check_cancelled()

    @operation("CancelTask")
    def cancel(self, call: Call) -> None:
        call.require("Global.CancelTask", self)
        if self.is_over:
            raise vim.fault.InvalidState(msg="The task is over")
        if not self.info.cancelable:
            raise vmodl.fault.NotSupported(msg="The task cannot be canceled")
        self.update(cancelled=True)

    def wait(self, timeout: float) -> bool:
        """Wait until the task is over, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self.vcenter.lock:
            while not self.is_over and time.monotonic() < deadline:
                self.vcenter.changed.wait(deadline - time.monotonic())
        return self.is_over


def in_progress(busy: Task) -> Any:
    return vim.fault.TaskInProgress(
        task=busy.ref, msg="The operation is not allowed: another task is already in progress."
    )
