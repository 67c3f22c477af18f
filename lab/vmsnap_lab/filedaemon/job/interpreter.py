# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a plugin may not do because bareos-fd runs it in a sub-interpreter of a threaded daemon.

Deviation: a job has a process and a main interpreter of its own. What a sub-interpreter of
CPython 3.11 refuses is refused here by hand; C extensions that cannot live in one (numpy,
the Rust part of cryptography, callbacks of libnbd) do work here, and are reported as hazards.
"""

from __future__ import annotations

import atexit
import datetime
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Optional

_UNFIT = {
    "numpy": "numpy was imported: from the second job on that crashes bareos-fd",
    "cryptography.hazmat.bindings._rust": (
        "cryptography was imported: from the second job on that raises ImportError in bareos-fd"
    ),
}
_STDERR = 2
_PREEXEC_FN = 5  # position among the arguments of Popen that follow args


def confine() -> None:
    """Call this once, on the main thread, before any plugin code is loaded."""
    atexit.register(_refuse_daemon_threads)  # registered first, so that it runs last
    os.register_at_fork(after_in_child=_die)
    signal.signal = _refuse_signals  # type: ignore[assignment]
    setattr(subprocess.Popen, "__init__", _without_preexec(subprocess.Popen.__init__))  # noqa: B010


def set_clock(ahead: int) -> None:
    """Move the clock that Python code of this process reads forward by so many seconds."""
    wall_clock, real = time.time, datetime.datetime

    class Datetime(real):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: Optional[datetime.tzinfo] = None) -> Any:
            return real.now(tz) + datetime.timedelta(seconds=ahead)

    setattr(time, "time", lambda: wall_clock() + ahead)  # noqa: B010
    setattr(datetime, "datetime", Datetime)  # noqa: B010


def set_host_name(name: str) -> None:
    """What Python code of this process is told that its host is called."""
    setattr(socket, "gethostname", lambda: name)  # noqa: B010


def unfit_modules() -> list[str]:
    """A sentence for each imported module that bareos-fd could not have imported safely."""
    return [text for name, text in _UNFIT.items() if name in sys.modules]


def _refuse_daemon_threads() -> None:
    for thread in threading.enumerate():
        if thread.daemon and not isinstance(thread, threading._DummyThread):
            _abort(f"Py_EndInterpreter: not the last thread ({thread.name} is a daemon thread)")


def _die() -> None:
    _abort("_PyInterpreterState_DeleteExceptMain: not main interpreter (os.fork() in a plugin)")


def _abort(reason: str) -> None:
    os.write(_STDERR, f"Fatal Python error: {reason}\n".encode())
    os.abort()


def _refuse_signals(*arguments: Any) -> Any:
    raise ValueError("signal only works in main thread of the main interpreter")


def _without_preexec(init: Callable[..., None]) -> Callable[..., None]:
    def popen(self: Any, args: Any, *positional: Any, **named: Any) -> None:
        if named.get("preexec_fn") or any(positional[_PREEXEC_FN - 1 : _PREEXEC_FN]):
            raise RuntimeError("preexec_fn not supported within subinterpreters")
        init(self, args, *positional, **named)

    return popen
