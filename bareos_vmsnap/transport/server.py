# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Runs an NBD server on a private socket, no longer than this process lives."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Callable, NamedTuple, Optional
from urllib.parse import quote

from bareos_vmsnap.processes import scratch
from bareos_vmsnap.processes.server_log import ServerLog
from bareos_vmsnap.transport.endpoint import TransportError

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
# After a failure, clients may be stuck with requests whose answers nobody takes.
STOP_TIMEOUT_FAILED = 1.0
# A killed process may be held up by its file system; its parent must end anyway.
KILL_TIMEOUT = 1.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

_running: list[NbdServer] = []


class Files(NamedTuple):
    """The files for a command line: the socket to listen on, the pid file to write when ready.

    `directory` holds both, is private, and is removed with the server.
    """

    socket: str
    pid_file: str
    directory: str


class ServerNotReadyError(TransportError):
    """A server did not get ready for connections; `log` is the end of what it wrote."""

    id = "server-not-ready"

    def __init__(self, problem: str, log: str) -> None:
        super().__init__(f"{problem}: {log}")
        self.log = log


class NbdServer:
    """A server process and its private directory (mode 0700) with socket and pid file."""

    def __init__(
        self, name: str, directory: str, process: subprocess.Popen[bytes], log: ServerLog
    ) -> None:
        self.name = name
        self.directory = directory
        self.process = process
        self.uri = f"nbd+unix:///?socket={quote(directory)}/socket"
        self._log = log

    def log(self) -> str:
        """Return the end of what the server has written to its standard error."""
        return self._log.tail()

    def kill(self) -> None:
        """End the server at once, so that its disk is free again, and remove its directory."""
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(KILL_TIMEOUT)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def run(
    command: Callable[[Files], Sequence[str]],
    *,
    package: str,
    environment: Optional[Callable[[Files], Mapping[str, str]]] = None,
    pass_fds: Sequence[int] = (),
    log: Optional[ServerLog] = None,
    ends_with_clients: bool = False,
) -> Iterator[NbdServer]:
    """Run a server while the context lasts; yield once it accepts connections.

    `command` makes the command line, `environment` the whole environment, if it is not this
    process's. nbdkit and qemu-nbd write the pid file when they are ready. Errors name `package` if
    the program is missing. A server that `ends_with_clients` gets time to do so unless something
    failed. Call it in the main thread: the kernel ends the server with the thread that started it.
    Raises TransportError, ServerNotReadyError.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("NBD servers are started in the main thread only")
    directory = scratch.make_directory()
    try:
        files = Files(os.path.join(directory, "socket"), os.path.join(directory, "pid"), directory)
        server = _start(
            command(files),
            directory,
            package,
            environment(files) if environment else None,
            pass_fds,
            log or ServerLog(),
        )
        _running.append(server)
        try:
            _wait_until_ready(server)
            yield server
        except BaseException:
            _stop(server.process, STOP_TIMEOUT_FAILED)
            raise
        else:
            if ends_with_clients:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.process.wait(STOP_TIMEOUT)
            _stop(server.process, STOP_TIMEOUT)
        finally:
            _running.remove(server)
            server.log()  # puts the last lines into the log file, too
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def kill_all() -> None:
    """End all servers of this process at once, from any thread, before it exits."""
    for server in list(_running):
        server.kill()


def _start(
    arguments: Sequence[str],
    directory: str,
    package: str,
    environment: Optional[Mapping[str, str]],
    pass_fds: Sequence[int],
    log: ServerLog,
) -> NbdServer:
    parent = os.getpid()

    def die_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    try:
        process = subprocess.Popen(
            # VMware's names are UTF-8, whatever the locale of this process.
            [argument.encode("utf-8", "surrogateescape") for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=log.descriptor,
            stderr=log.descriptor,
            env=environment,
            pass_fds=pass_fds,
            preexec_fn=die_with_parent,
        )
    except FileNotFoundError as error:
        raise TransportError(
            f"{arguments[0]} not found: install {package}", id="program-missing"
        ) from error
    finally:
        log.started()
    return NbdServer(arguments[0], directory, process, log)


def _wait_until_ready(server: NbdServer) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    pid_file = os.path.join(server.directory, "pid")
    while not os.path.exists(pid_file):
        if server.process.poll() is not None:
            raise ServerNotReadyError(
                f"{server.name} ended with status {server.process.returncode}", server.log()
            )
        if time.monotonic() > deadline:
            raise ServerNotReadyError(
                f"{server.name} was not ready within {START_TIMEOUT:.0f} s", server.log()
            )
        time.sleep(0.005)


def _stop(process: subprocess.Popen[bytes], timeout: float) -> None:
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
