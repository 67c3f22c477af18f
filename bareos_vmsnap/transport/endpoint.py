# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a transport provides, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

from bareos_vmsnap.errors import VmsnapError


class TransportError(VmsnapError):
    """A disk could not be made reachable; by default because its description is wrong."""

    id = "disk-description"


class Explanation(NamedTuple):
    """What a server's last messages mean, and what to do."""

    id: str
    text: str


def _no_log() -> str:
    return ""


def _no_explanation() -> Optional[Explanation]:
    return None


@dataclass(frozen=True)
class Endpoint:
    """A disk served over NBD.

    `name` is for messages. `connections` is how many the server takes at a time; None leaves that
    to the server's multi-conn flag. `log` returns the server's last messages, if any, `explain` their
    meaning, if known. `maps_written_blocks`: block status reports every block that was ever written
    to the disk's own file as allocated, even zeros. `reopens`: a reader whose connection fails may
    reconnect, and gets the same disk. `writes_zeros`: the server itself writes the zeros of a
    request, in one piece.
    """

    uri: str
    name: str
    connections: Optional[int] = None
    log: Callable[[], str] = _no_log
    explain: Callable[[], Optional[Explanation]] = _no_explanation
    maps_written_blocks: bool = False
    reopens: bool = False
    writes_zeros: bool = False
