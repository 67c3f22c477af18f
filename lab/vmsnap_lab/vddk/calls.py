# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What clients did with the library, for tests to look at."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from vmsnap_lab.vddk.library_messages import LibraryRequest
from vmsnap_lab.vddk.pages import Counts
from vmsnap_lab.vddk.vix_errors import VixError

SECRETS = frozenset(("password", "cookie", "key"))


@dataclass
class LibraryCall:
    """A call of the library but reads, writes, flushes and queries, of which Close has the counts.

    arguments: as the library got them; "***" for each secret.
    connection: its number, None for InitEx and a ConnectEx that failed. time: seconds since the
    epoch, at the start. error: None while the call lasts. counts: what was done with the disk
    that is closed; also there, with the name "Lost", if a process died with the disk open.
    """

    name: str
    arguments: Mapping[str, str]
    connection: Optional[int]
    process: int
    time: float = field(default_factory=time.time)
    error: Optional[VixError] = None
    counts: Optional[Counts] = None


@dataclass(frozen=True)
class Process:
    """A process that initialised the library: its command line and environment then."""

    pid: int
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def without_secrets(request: LibraryRequest) -> Mapping[str, str]:
    return {key: "***" if key in SECRETS else value for key, value in request.fields.items()}


def describe_process(pid: int) -> Process:
    """Raises OSError if it is gone."""
    folder = Path("/proc", str(pid))
    environment = {}
    for entry in _strings(folder / "environ"):
        name, _, value = entry.partition("=")
        environment[name] = value
    return Process(pid, tuple(_strings(folder / "cmdline")), environment)


def _strings(file: Path) -> list[str]:
    content = file.read_bytes().decode(errors="surrogateescape")
    return content.split("\0")[:-1]
