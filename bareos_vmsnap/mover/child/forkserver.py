# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""python3 -m bareos_vmsnap.mover.child.forkserver: started by bareos_vmsnap.mover.client.launch only.

One thread, which forks movers, watches their ends, and passes signals on: a mover is its child, so
that no other process can have its number meanwhile.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import NamedTuple, NoReturn

from bareos_vmsnap.mover import handle_words
from bareos_vmsnap.mover.child import process

_MESSAGE = 4096
_DESCRIPTORS = 6  # plan, data, report, lifeline, standard error, handle
_EXIT_BROKEN = 70


class _Child(NamedTuple):
    """A mover: its client's handle, and a pipe that ends with it."""

    pid: int
    handle: socket.socket
    alive: int


class ForkServer:
    """Serves one client until that closes `control`. Movers have lifelines of their own."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}  # by the pipe's descriptor
        self._clients: dict[int, _Child] = {}  # by the handle's; gone once the client is
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def serve(self) -> None:
        """Return when the client is gone."""
        while True:
            # One at a time: what is done may give the number of another one's descriptor away.
            descriptor, _ = self._poll.poll()[0]
            if descriptor in self._children:
                self._bury(self._children[descriptor])
            elif descriptor in self._clients:
                self._listen(self._clients[descriptor])
            elif not self._take_order():
                return

    def _take_order(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE, _DESCRIPTORS)
        if not message:
            return False
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        *pipes, stderr, handle = descriptors
        alive, ending = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._become_mover(pipes, json.loads(message), stderr, [handle, alive])
        for descriptor in (*pipes, stderr, ending):
            os.close(descriptor)
        child = _Child(pid, socket.socket(fileno=handle), alive)
        self._children[alive] = self._clients[handle] = child
        self._poll.register(alive, select.POLLIN)
        self._poll.register(handle, select.POLLIN)
        _tell(child, handle_words.PID, pid)
        return True

    def _become_mover(
        self, pipes: list[int], scratch: str, stderr: int, others: list[int]
    ) -> NoReturn:
        """In the new process; never returns to the server's loop."""
        try:
            os.setsid()  # its servers form one process group with it
            for output in (1, 2):
                os.dup2(stderr, output)
            self._control.close()
            for child in self._children.values():
                child.handle.close()
                os.close(child.alive)
            for descriptor in (*others, stderr):
                os.close(descriptor)
            process.main([*map(str, pipes), scratch])
        except BaseException:  # noqa: BLE001 - it must not become a second server
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(_EXIT_BROKEN)

    def _bury(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        self._poll.unregister(child.alive)
        os.close(child.alive)
        del self._children[child.alive]
        if self._clients.pop(child.handle.fileno(), None) is not None:
            self._poll.unregister(child.handle)
        _tell(child, handle_words.STATUS, os.waitstatus_to_exitcode(status))
        child.handle.close()

    def _listen(self, child: _Child) -> None:
        try:
            word = child.handle.recv(1)
        except ConnectionResetError:
            word = b""
        if word == handle_words.TERMINATE:
            os.kill(child.pid, signal.SIGTERM)
        elif word == handle_words.KILL:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:  # it leads no group yet
                os.kill(child.pid, signal.SIGKILL)
        else:
            del self._clients[child.handle.fileno()]
            self._poll.unregister(child.handle)


def _tell(child: _Child, what: bytes, number: int) -> None:
    # A client that is gone does not want to know.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.handle.send(what + str(number).encode(), socket.MSG_NOSIGNAL)


def main(control: int) -> None:
    """Serve the client at the other end of an inherited socket."""
    os.set_inheritable(control, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.name("vmsnap-forks")
    # What is missing each mover tells itself.
    with contextlib.suppress(ImportError):
        importlib.import_module("bareos_vmsnap.mover.child.operations")
    gc.freeze()  # pages that no collection touches stay shared
    ForkServer(socket.socket(fileno=control)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
