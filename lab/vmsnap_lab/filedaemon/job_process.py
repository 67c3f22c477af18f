# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One job as the Director sees it: a process of its own for the file daemon, until it has ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Callable, Optional

import vmsnap_lab
from vmsnap_lab.filedaemon import cancel, frames, result

_ROOT = Path(vmsnap_lab.__file__).resolve().parent.parent
_BOOT = (
    "import sys; sys.path[0] = sys.argv[1]; "
    "from vmsnap_lab.filedaemon.job import main; "
    "sys.path.pop(0); main.main(int(sys.argv[2]), int(sys.argv[3]))"
)
_STDERR_TAIL = 4000  # bytes of a dead process' standard error


class LoopbackError(Exception):
    """The loopback file daemon itself failed, not the plugin."""


@dataclass
class SentOrders:
    """What a job process gets; `job` has the fields of control.JobDefinition."""

    job: dict[str, Any]
    objects: Sequence[result.CatalogObject] = ()
    files: Optional[Mapping[str, Mapping[str, int]]] = None


@dataclass
class Outcome:
    """How the job's process ended. `status` is None if it died before it could report it."""

    status: Optional[str] = None
    errors: int = 0
    files: int = 0
    bytes: int = 0
    canceled: bool = False
    crash: Optional[str] = None
    hazards: tuple[str, ...] = ()
    trace: list[result.PluginCall] = field(default_factory=list)


class JobProcess:
    """Runs one job.

    Arguments:
        serve_storage: called on a thread of its own with the storage's end of the connection.
        on_message: called for each message of the file daemon, as it comes.
        python: the interpreter; it needs what the plugin needs.
        environment: the process' environment.
    """

    def __init__(
        self,
        *,
        serve_storage: Callable[[frames.Channel], None],
        on_message: Callable[[result.Message], None],
        python: str,
        environment: Mapping[str, str],
        canceling: cancel.Cancel,
    ) -> None:
        self._serve_storage = serve_storage
        self._on_message = on_message
        self._python = python
        self._environment = environment
        self._canceling = canceling
        self._outcome = Outcome()
        self._open_calls: dict[int, result.PluginCall] = {}
        self._failure: Optional[BaseException] = None

    def run(self, orders: SentOrders) -> Outcome:
        """To the end of the job's process. Raises LoopbackError."""
        director, their_director = socket.socketpair()
        sd, their_sd = socket.socketpair()
        with director, sd, tempfile.TemporaryFile() as stderr:
            with their_director, their_sd:
                process = self._start(their_director, their_sd, stderr)
            storage = threading.Thread(target=self._run_storage, args=(frames.Channel(sd),))
            storage.start()
            try:
                self._attend(process, frames.Channel(director), orders)
            except BaseException:
                process.kill()  # it has nobody left to report to
                raise
            finally:
                process.wait()
                storage.join()
            self._note_crash(process, stderr)
        if self._failure is not None:
            raise LoopbackError(str(self._failure)) from self._failure
        return self._outcome

    def _start(
        self, director: socket.socket, sd: socket.socket, stderr: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        sockets = (director.fileno(), sd.fileno())
        return subprocess.Popen(
            [self._python, "-c", _BOOT, str(_ROOT), *map(str, sockets)],
            pass_fds=sockets,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            cwd="/",
            env=dict(self._environment),
        )

    def _run_storage(self, channel: frames.Channel) -> None:
        try:
            self._serve_storage(channel)
        except Exception as error:  # noqa: BLE001 - raised again by run()
            self._failure = error
            channel.close()

    def _attend(
        self, process: subprocess.Popen[bytes], channel: frames.Channel, orders: SentOrders
    ) -> None:
        try:
            _send_orders(channel, orders)
        except OSError:
            return  # it died at once; the reason is on its standard error
        self._canceling.attach(lambda: self._cancel(process, channel))
        while (frame := channel.receive()) is not None:
            if self._outcome.status is None:  # what comes after the end is lost
                self._on_frame(*frame)

    def _cancel(self, process: subprocess.Popen[bytes], channel: frames.Channel) -> None:
        if self._outcome.status is not None:
            return
        if self._canceling.signal is not None:
            process.send_signal(self._canceling.signal)
            return
        self._outcome.canceled = True
        try:
            channel.send(frames.CANCEL)
        except OSError:
            self._outcome.canceled = False  # it has ended

    def _on_frame(self, kind: int, content: memoryview) -> None:
        if kind == frames.BROKEN:
            raise LoopbackError(bytes(content).decode())
        values, _ = frames.parse_json(content)
        if kind == frames.MESSAGE:
            self._on_message(result.Message(**values))
        elif kind == frames.ENTER:
            self._on_enter(values)
        elif kind == frames.LEAVE:
            self._on_leave(values)
        elif kind == frames.END:
            self._outcome.status = values["status"]
            self._outcome.errors = values["errors"]
            self._outcome.files = values["files"]
            self._outcome.bytes = values["bytes"]
            self._outcome.hazards = tuple(values["hazards"])

    def _on_enter(self, values: dict[str, Any]) -> None:
        call = result.PluginCall(values["name"], values["arguments"], thread=values["thread"])
        self._open_calls[values["number"]] = call
        self._outcome.trace.append(call)
        self._canceling.on_call(call.label)

    def _on_leave(self, values: dict[str, Any]) -> None:
        call = self._open_calls.pop(values["number"])
        call.result, call.raised = values["result"], values["raised"]
        call.outcome = values["outcome"]
        trace = self._outcome.trace
        if len(trace) > 1 and trace[-1] is call and trace[-2].same_as(call):
            trace.pop()
            trace[-1].times += 1

    def _note_crash(self, process: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
        if process.returncode == 0:
            return
        size = stderr.seek(0, os.SEEK_END)
        stderr.seek(max(0, size - _STDERR_TAIL))
        output = stderr.read().decode(errors="replace").strip()
        code = process.returncode
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        self._outcome.crash = f"{how}: {output}" if output else how


def _send_orders(channel: frames.Channel, orders: SentOrders) -> None:
    channel.send_json(frames.JOB, orders.job)
    for found in orders.objects:
        header = {
            "plugin": found.plugin,
            "name": found.name,
            "type": found.type,
            "index": found.index,
            "compression": found.compression,
            "job_id": found.jobid,
        }
        channel.send_json(frames.OBJECT, header, found.data)
    if orders.files is not None:
        channel.send_json(frames.FILES, orders.files)
    channel.send(frames.START)
