# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One qemu-nbd that serves one disk on a listening socket until its last client leaves."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Socket activation wants the socket as descriptor 3 and the server's own process id, which stays
# the same over exec. The socket comes in as standard input.
_ACTIVATE = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&0 </dev/null'


# qemu takes a buffer for each request and gives it back to the kernel, which costs more than the
# copy of the data. With these settings of glibc's it keeps what it had (mallopt(3)).
_KEEP_BUFFERS = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}

# Bytes of a table that are read at once. By default it is all of it, 64 KiB for what may be a
# change of a sector: in a disk of terabytes every change has a table of its own.
_L2_ENTRY = 4096


@dataclass(frozen=True)
class Image:
    """What a server shows.

    file: the qcow2 file. writable: clients may write; only one is let in.
    alone: without its parents, whose data are absent (VMware's "single link").
    """

    file: Path
    writable: bool = False
    alone: bool = False

    def arguments(self) -> list[str]:
        access = ["--shared=1"] if self.writable else ["--shared=0", "--read-only"]
        below = {"driver": "file", "filename": str(self.file)}
        image: dict[str, Any] = {"driver": "qcow2", "file": below, "l2-cache-entry-size": _L2_ENTRY}
        if self.alone:
            image["backing"] = None
        return [*access, "json:" + json.dumps(image)]


class NbdServer:
    """Started by the constructor; ends by itself when its last client has disconnected.

    It also ends when the thread that started it does, the lab being killed included: then it gets
    a signal to close its disk in order. keep: a descriptor it inherits. cache: qemu's cache mode.
    """

    def __init__(self, listener: socket.socket, image: Image, keep: int, cache: str) -> None:
        self.image = image
        nbd = ["qemu-nbd", f"--cache={cache}", "--discard=unmap", "--detect-zeroes=off"]
        self._process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "TERM", "sh", "-c", _ACTIVATE, "sh"),
                *(*nbd, "--allocation-depth", *image.arguments()),
            ],
            stdin=listener.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **_KEEP_BUFFERS},
            pass_fds=[keep],
        )
        self.pidfd = os.pidfd_open(self._process.pid)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self, timeout: float) -> None:
        """Wait for a server whose clients have left; one that does not end in time is killed."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        """Have it disconnect all clients and close the disk in order."""
        self._process.terminate()

    def stop(self, timeout: float = 10.0) -> None:
        """Terminate it and wait for its end."""
        self.terminate()
        self.wait(timeout)

    def complaint(self) -> str:
        """Why an ended server failed; empty when it did not."""
        if self._process.returncode == 0:
            return ""
        assert self._process.stderr is not None
        output = self._process.stderr.read().decode(errors="replace").strip()
        return output or f"qemu-nbd ended with status {self._process.returncode}"

    def close(self) -> None:
        """Release what is left of an ended server."""
        assert self._process.stderr is not None
        self._process.stderr.close()
        os.close(self.pidfd)
