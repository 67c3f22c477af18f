# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""python3 -m bareos_vmsnap.mover.child.forkserver: started by mover.client.launch only.

One thread forks movers, waits for their ends, and passes on signals: a mover is its child, so no
other process can get its number meanwhile.
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

from bareos_vmsnap.mover import handle_protocol
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
    """Serves one client until it closes `control`. Movers have lifelines of their own."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}  # by the pipe's descriptor
        self._clients: dict[int, _Child] = {}  # by the handle's; removed when the client is gone
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def serve(self) -> None:
        """Return when the client is gone."""
        while True:
            # One at a time: handling one may close another's descriptor and reuse its number.
            descriptor, _ = self._poll.poll()[0]
            if descriptor in self._children:
                self._reap(self._children[descriptor])
            elif descriptor in self._clients:
                self._receive(self._clients[descriptor])
            elif not self._take_request():
                return

    def _take_request(self) -> bool:
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
        _send(child, handle_protocol.PID, pid)
        return True

    def _become_mover(
        self, pipes: list[int], scratch: str, stderr: int, others: list[int]
    ) -> NoReturn:
        """Run a mover in the new process; never return to the server's loop."""
        try:
            os.setsid()  # it and its servers form one process group
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

    def _reap(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        self._poll.unregister(child.alive)
        os.close(child.alive)
        del self._children[child.alive]
        if self._clients.pop(child.handle.fileno(), None) is not None:
            self._poll.unregister(child.handle)
        _send(child, handle_protocol.STATUS, os.waitstatus_to_exitcode(status))
        child.handle.close()

    def _receive(self, child: _Child) -> None:
        try:
            message = child.handle.recv(1)
        except ConnectionResetError:
            message = b""
        if message == handle_protocol.TERMINATE:
            os.kill(child.pid, signal.SIGTERM)
        elif message == handle_protocol.KILL:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:  # it does not lead a group yet
                os.kill(child.pid, signal.SIGKILL)
        else:
            del self._clients[child.handle.fileno()]
            self._poll.unregister(child.handle)


def _send(child: _Child, what: bytes, number: int) -> None:
    # The client may be gone.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.handle.send(what + str(number).encode(), socket.MSG_NOSIGNAL)


def main(control: int) -> None:
    """Serve the client at the other end of an inherited socket."""
    os.set_inheritable(control, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.name("vmsnap-forks")
    # Each mover reports missing modules itself.
    with contextlib.suppress(ImportError):
        importlib.import_module("bareos_vmsnap.mover.child.operations")
    gc.freeze()  # pages that no collection touches stay shared
    ForkServer(socket.socket(fileno=control)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
