# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How a mover's process is started (standard library only: this runs inside bareos-fd).

`Interpreter` starts a new Python for each mover. `ForkServerClient` starts only one, which loads
the mover's modules once and forks: that takes a few milliseconds, not a tenth of a second, which
matters if a job has many small segments.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Sequence
from typing import BinaryIO, Optional, Protocol

from bareos_vmsnap.mover import handle_protocol
from bareos_vmsnap.mover.report import MoverError
from bareos_vmsnap.processes.spawn import ProcessError, ending, interpreter, spawn

_MESSAGE = 64
_CLOSE_TIMEOUT = 5.0  # seconds


class Launched(Protocol):
    """A mover's process, as its client sees it."""

    @property
    def pid(self) -> int:
        """Its number, for people and tests: another process may have it by now."""

    def poll(self) -> Optional[int]:
        """The exit status, negative for a signal; None while it runs."""

    def wait(self, timeout: float) -> int:
        """Wait for the exit status. Raises subprocess.TimeoutExpired."""

    def terminate(self) -> None:
        """Send SIGTERM; do nothing if it has ended already."""

    def kill(self) -> None:
        """Send SIGKILL to it and to the servers it started."""

    def ending(self) -> str:
        """How it ended, as text; empty for success and for a failure that it reports itself."""


class Launcher(Protocol):
    """Starts movers."""

    def start(self, pipes: Sequence[int], scratch: str, stderr: BinaryIO) -> Launched:
        """Start a mover with these four descriptors (see child.process). Raises MoverError."""


class Interpreter:
    """Starts each mover in a Python of its own."""

    def __init__(self, python: Optional[str] = None) -> None:
        self._python = python or interpreter()

    def start(self, pipes: Sequence[int], scratch: str, stderr: BinaryIO) -> Launched:
        """Start a mover with these four descriptors. Raises MoverError."""
        arguments = ["bareos_vmsnap.mover.child", *map(str, pipes), scratch]
        return _Spawned(_spawn(self._python, arguments, pipes, stderr))


class ForkServerClient:
    """Starts movers by fork. The fork server is started with the first one, or by `prepare`.

    Always `close` it, once the movers have ended; it ends with this process in any case. Not safe
    for several threads.
    """

    def __init__(self, python: Optional[str] = None) -> None:
        self._python = python or interpreter()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._control: Optional[socket.socket] = None

    def prepare(self) -> None:
        """Start the fork server, so that it loads its modules. Raises MoverError."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = ["bareos_vmsnap.mover.child.forkserver", str(theirs.fileno())]
            try:
                self._process = _spawn(self._python, arguments, [theirs.fileno()], None)
            except MoverError:
                control.close()
                raise
        self._control = control

    def start(self, pipes: Sequence[int], scratch: str, stderr: BinaryIO) -> Launched:
        """Start a mover with these four descriptors. Raises MoverError."""
        self.prepare()
        assert self._control is not None
        handle, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            descriptors = [*pipes, stderr.fileno(), theirs.fileno()]
            try:
                request = [json.dumps(scratch).encode()]
                socket.send_fds(self._control, request, descriptors, socket.MSG_NOSIGNAL)
            except OSError as error:
                handle.close()
                problem = f"the process that starts movers ({self._python}) has ended"
                raise MoverError(f"{problem}: {error}", id="mover-died") from error
        return _Forked(handle)

    def close(self) -> None:
        """End the fork server; safe to call again."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(_CLOSE_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


class _Spawned:
    """A child of this process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.poll = process.poll
        self.wait = process.wait
        self.terminate = process.terminate

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def ending(self) -> str:
        return ending(self._process.poll())


class _Forked:
    """A grandchild: the fork server reports its end, and signals it while it exists."""

    _LOST = 255

    def __init__(self, handle: socket.socket) -> None:
        handle.setblocking(False)
        self._handle = handle
        self._pid: Optional[int] = None
        self._status: Optional[int] = None
        self._lost = False
        self._lock = threading.Lock()
        weakref.finalize(self, handle.close)  # in case nobody waits for its end

    @property
    def pid(self) -> int:
        while self._pid is None and self._status is None:
            self._receive(None)
        if self._pid is None:
            raise ProcessLookupError("the mover was never started")
        return self._pid

    def poll(self) -> Optional[int]:
        while self._status is None and self._receive(0):
            pass
        return self._status

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while self._status is None:
            if not self._receive(max(0.0, deadline - time.monotonic())):
                raise subprocess.TimeoutExpired("mover", timeout)
        return self._status

    def terminate(self) -> None:
        self._send(handle_protocol.TERMINATE)

    def kill(self) -> None:
        self._send(handle_protocol.KILL)

    def ending(self) -> str:
        return "the process that started it is gone" if self._lost else ending(self._status)

    def _send(self, message: bytes) -> None:
        with self._lock:
            if self._status is None:
                # Without the server, the end of its lifeline ends it.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self._handle.send(message, socket.MSG_NOSIGNAL)

    def _receive(self, timeout: Optional[float]) -> bool:
        """Take in a message, unless another thread does; False if none came in time."""
        poll = select.poll()
        with self._lock:
            if self._status is not None:
                return True
            poll.register(self._handle, select.POLLIN)
        # If another thread closes the handle meanwhile, this ends when the server closes its end.
        if not poll.poll(None if timeout is None else timeout * 1000):
            return False
        with self._lock:
            if self._status is None:
                self._take_in()
            return True

    def _take_in(self) -> None:
        try:
            message = self._handle.recv(_MESSAGE)
        except BlockingIOError:
            return
        except ConnectionResetError:
            message = b""
        if message.startswith(handle_protocol.PID):
            self._pid = int(message[len(handle_protocol.PID) :])
            return
        self._lost = not message
        self._status = int(message[len(handle_protocol.STATUS) :]) if message else self._LOST
        self._handle.close()


def _spawn(
    python: str, arguments: list[str], descriptors: Sequence[int], output: Optional[BinaryIO]
) -> subprocess.Popen[bytes]:
    try:
        return spawn(python, arguments, descriptors, output)
    except ProcessError as error:
        raise MoverError(error.what, id=error.id) from error
