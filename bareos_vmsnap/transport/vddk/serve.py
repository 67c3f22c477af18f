# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Starts the nbdkit that serves one disk."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from bareos_vmsnap.processes.server_log import ServerLog
from bareos_vmsnap.transport import server
from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.transport.endpoint import Endpoint, TransportError
from bareos_vmsnap.transport.vddk import checks, command, diagnosis, library

# More than any machine can use; mover.child.slots enforces the connection limits.
READING_CONNECTIONS = 16
PACKAGE = "nbdkit and its vddk plugin (see docs/installation.md)"


@contextmanager
def serve(disk: VddkDisk, *, writable: bool) -> Iterator[Endpoint]:
    """Yield the endpoint of a disk.

    nbdkit opens the disk only when a client connects, and does not send the client its errors:
    Endpoint.explain() has them. Raises TransportError.
    """
    checks.check(disk, writable=writable)
    found = library.find(disk.libdir)
    disk = dataclasses.replace(disk, libdir=found.libdir)
    name = f"{disk.path} of {disk.vm}" + (f", {disk.snapshot}" if disk.snapshot else "")
    log = _log(disk)
    explain = partial(diagnosis.explain, disk=disk)

    def arguments(files: server.Files, password: int) -> list[str]:
        path = os.path.join(files.directory, "vddk.conf")
        with open(path, "w", encoding="utf-8") as config:
            config.write(command.config(disk, files.directory))
        return command.arguments(disk, found, files, path, password, writable=writable)

    with ExitStack() as stack:
        try:
            with _in_pipe(disk.password) as password:
                running = stack.enter_context(
                    server.run(
                        partial(arguments, password=password),
                        package=PACKAGE,
                        environment=lambda files: command.environment(
                            found, files.directory, os.environ
                        ),
                        pass_fds=(password,),
                        log=log,
                        ends_with_clients=True,
                    )
                )
        except server.ServerNotReadyError as error:
            known = explain(error.log)
            text = known.text if known else error.what
            raise TransportError(f"{name}: {text}", id=known.id if known else error.id) from error
        yield Endpoint(
            running.uri,
            name,
            1 if writable else READING_CONNECTIONS,
            running.log,
            explain=lambda: explain(running.log()),
            maps_written_blocks=True,
            writes_zeros=True,
            reopens=not writable,
        )


def _log(disk: VddkDisk) -> ServerLog:
    label = f"{disk.vm} {disk.snapshot or 'current'} {disk.path}"
    try:
        return ServerLog([disk.password], disk.log, label)
    except OSError as error:
        raise TransportError(
            f"{disk.log} cannot be written: {error.strerror}", id="disk-log-unwritable"
        ) from error


@contextmanager
def _in_pipe(secret: str) -> Iterator[int]:
    """Yield a descriptor from which a secret can be read once, without ever being in a file."""
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as pipe:
            pipe.write(secret.encode())
        yield reading
    finally:
        os.close(reading)
