# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A plugin that does what its option `deed` names, and tells in the job log how that went."""

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
from typing import Any

import bareosfd
import BareosFdPluginBaseclass
from BareosFdWrapper import *  # noqa: F403
from BareosFdWrapper import BareosPlugin


def tell(text: str) -> None:
    bareosfd.JobMessage(bareosfd.M_INFO, f"{text}\n")


def attempt(deed: Any) -> str:
    try:
        return repr(deed())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        return f"{type(error).__name__}: {error}"


def in_thread(daemon: bool, deed: Any) -> threading.Thread:
    thread = threading.Thread(target=deed, daemon=daemon)
    thread.start()
    return thread


def foreign_message() -> str:
    results = []
    in_thread(False, lambda: results.append(attempt(lambda: tell("x")))).join()
    return results[0]


def fork() -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0  # it died before it came here


DEEDS = {
    "signal": lambda self: attempt(lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)),
    "preexec": lambda self: attempt(lambda: subprocess.run(["true"], preexec_fn=int)),
    "popen": lambda self: attempt(lambda: subprocess.run(["true"]).returncode),
    "host": lambda self: socket.gethostname(),
    "clock": lambda self: (
        f"{time.time()} {datetime.datetime.now(datetime.timezone.utc).timestamp()}"
    ),
    "fork": lambda self: fork(),
    "foreign": lambda self: foreign_message(),
    "slow_thread": lambda self: in_thread(False, lambda: time.sleep(1)).daemon,
    "daemon_thread": lambda self: in_thread(True, lambda: time.sleep(60)).daemon,
    "atexit": lambda self: atexit.register(lambda: open(self.options["file"], "w").close()),
    "check_changes": lambda self: bareosfd.GetValue(bareosfd.bVarCheckChanges),
    "abort": lambda self: bareosfd.JobMessage(bareosfd.M_ABORT, "the end\n"),
    "path": lambda self: f"{sys.path[0]} {sys.path[1]} {os.getcwd()} {sys.argv} {sys.executable}",
    "lab": lambda self: [
        name for name in sys.modules if name.startswith(("bareos_vmsnap", "xxhash"))
    ],
    "main": lambda self: threading.current_thread() is threading.main_thread(),
    "exit": lambda self: sys.exit(3),
    "environment": lambda self: os.environ.get("LAB_VALUE"),
    "numpy": lambda self: sys.modules.setdefault("numpy", sys),
}


@BareosPlugin
class Doer(BareosFdPluginBaseclass.BareosFdPluginBaseclass):
    def start_backup_job(self) -> Any:
        tell(f"DID {DEEDS[self.options['deed']](self)}")
        if "fail" in self.options:
            bareosfd.JobMessage(bareosfd.M_FATAL, "asked to fail\n")
        return bareosfd.bRC_OK
