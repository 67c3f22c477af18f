# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""NBD servers that rows read from and write to."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bareos_vmsnap.transport.disks import NbdDisk

_PATIENCE = 20.0  # seconds


@dataclass(frozen=True)
class Server:
    """A server that runs: its process and where it listens."""

    pid: int
    uri: str

    @property
    def disk(self) -> NbdDisk:
        """As a mover's plan names it."""
        return NbdDisk(self.uri)


@contextmanager
def nbdkit(*arguments: object) -> Iterator[Server]:
    """Run nbdkit with these arguments while the context lasts.

    Raises RuntimeError with what it said if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="vmsnap-bench-") as folder:
        socket, ready, log = (Path(folder, name) for name in ("socket", "pid", "log"))
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["nbdkit", "-f", "--exit-with-parent", "-U", str(socket), "-P", str(ready)]
                + [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            deadline = time.monotonic() + _PATIENCE
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"nbdkit does not start: {log.read_text()}")
                time.sleep(0.01)
            yield Server(process.pid, f"nbd+unix:///?socket={socket}")
        finally:
            process.terminate()
            process.wait()


@contextmanager
def used_file(folder: Path, capacity: int) -> Iterator[Path]:
    """A file to write to that was written before; it is removed at the end."""
    prefix = f"vmsnap-bench-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as made:
        path = Path(made, "target")
        block = b"\xff" * (1 << 20)
        with path.open("wb") as file:
            for at in range(0, capacity, len(block)):
                file.write(block[: capacity - at])
        yield path


@contextmanager
def fresh_file(folder: Path, capacity: int) -> Iterator[tuple[Server, Path]]:
    """Serve a new, empty file for writing; it is removed at the end."""
    prefix = f"vmsnap-bench-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as made:
        path = Path(made, "target")
        path.touch()
        os.truncate(path, capacity)
        with nbdkit("file", path) as server:
            yield server, path
