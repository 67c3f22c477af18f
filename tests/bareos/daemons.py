# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Processes that serve while the tests run, and end with them."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from . import installation

_PATIENCE = 30  # seconds for a start or an end


class Daemon:
    """A program in the foreground, listening on a TCP port of the loopback or on a unix socket.

    The kernel kills it should the test process die first. It can be started again.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[object],
        log: Path,
        *,
        listens: object,
        stop_by: int = signal.SIGTERM,
        environment: Optional[Mapping[str, str]] = None,
        **popen: Any,
    ) -> None:
        """`listens`: a port number or the path of a socket."""
        self.name = name
        self._command = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
        self._log = log
        self._listens = listens
        self._stop_by = stop_by
        self._environment = {**clean_environment(), **(environment or {})}
        self._popen = popen
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when it listens. Raises RuntimeError with its last output."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd="/",
                **self._popen,
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in order; does nothing if it does not run."""
        self.end_by(self._stop_by)

    def end_by(self, number: int) -> None:
        """Send it a signal and wait for its end; it is killed when it takes too long."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        if isinstance(self._listens, int):
            family, address = socket.AF_INET, ("127.0.0.1", self._listens)
        else:
            family, address = socket.AF_UNIX, str(self._listens)  # type: ignore[assignment]
        with socket.socket(family) as attempt:
            return attempt.connect_ex(address) == 0


def clean_environment() -> dict[str, str]:
    """What a daemon gets from an init system: no virtual environment, no settings of the caller's."""
    return {"PATH": installation.SEARCH_PATH, "HOME": "/", "LANG": "C.UTF-8"}


def free_ports(count: int) -> list[int]:
    """Ports of the loopback nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
