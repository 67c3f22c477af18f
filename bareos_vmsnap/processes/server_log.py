# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Takes what a server writes to its standard error: keeps the end, hides secrets."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Optional
from urllib.parse import quote

TAIL = 4000  # characters
_HIDDEN = "…".encode()
_LONGEST_LINE = 16 << 10  # bytes; longer ones are cut


class ServerLog:
    """Takes lines from a pipe, whose writing end is `descriptor`, until all its copies are closed.

    The last lines stay in memory. With `path`, all lines are appended to that file, which several
    servers may share, each with the time and `label`. The `secrets` in a line are hidden first, so
    that no file ever holds them.
    """

    def __init__(
        self, secrets: Sequence[str] = (), path: Optional[str] = None, label: str = ""
    ) -> None:
        """Raises OSError if the file cannot be opened."""
        forms = {form for s in secrets if s for form in (s, quote(s), quote(s, safe=""))}
        # The longest first, since one may be part of another.
        self._secrets = sorted((form.encode() for form in forms), key=len, reverse=True)
        self._label = label
        self._file = _open(path) if path else None
        self._lines: deque[str] = deque()
        self._kept = 0
        self._unfinished = b""
        self._lock = threading.Lock()
        self._reading, self.descriptor = os.pipe()
        os.set_blocking(self._reading, False)
        threading.Thread(target=self._run, daemon=True).start()

    def started(self) -> None:
        """Close our writing end, once the server has its copy: the log ends with the server."""
        os.close(self.descriptor)

    def tail(self) -> str:
        """Return the last lines, including those just written."""
        with self._lock:
            self._take()
            rest = self.clean(self._unfinished)
            return "\n".join([*self._lines, *([rest] if rest else [])])[-TAIL:].strip()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        more = True
        while more:
            poll.poll()
            with self._lock:
                more = self._take()
        with self._lock:
            if self._unfinished:
                self._keep([self._unfinished])
                self._unfinished = b""
            os.close(self._reading)
            self._reading = -1
            if self._file is not None:
                os.close(self._file)

    def _take(self) -> bool:
        """Take in what there is; False at the end."""
        while self._reading >= 0:
            try:
                data = os.read(self._reading, 64 << 10)
            except BlockingIOError:
                return True
            if not data:
                return False
            *lines, self._unfinished = (self._unfinished + data).split(b"\n")
            if len(self._unfinished) > _LONGEST_LINE:
                hidden = self._hide(self._unfinished)
                # A secret may begin at its end.
                rest = len(self._secrets[0]) - 1 if self._secrets else 0
                lines.append(hidden[: len(hidden) - rest])
                self._unfinished = hidden[len(hidden) - rest :]
            self._keep(lines)
        return False

    def _keep(self, lines: list[bytes]) -> None:
        clean = [self.clean(line) for line in lines]
        self._lines.extend(clean)
        self._kept += sum(len(line) + 1 for line in clean)
        while self._kept > 2 * TAIL and len(self._lines) > 1:
            self._kept -= len(self._lines.popleft()) + 1
        if self._file is not None and clean:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            text = "".join(f"{now} {self._label}: {line}\n" for line in clean)
            # A full disk must not end a backup that needs no log.
            with contextlib.suppress(OSError):
                os.write(self._file, text.encode())

    def _hide(self, text: bytes) -> bytes:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def clean(self, line: bytes) -> str:
        """The line with its secrets hidden."""
        return self._hide(line).decode(errors="replace").rstrip()


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
