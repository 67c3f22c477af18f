# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a transport hands out, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

from bareos_vmsnap.errors import VmsnapError


class TransportError(VmsnapError):
    """A disk could not be made reachable. By default its description is not right."""

    id = "disk-description"


class Explanation(NamedTuple):
    """What a server's last words mean, with what to do."""

    id: str
    text: str


def _no_log() -> str:
    return ""


def _no_explanation() -> Optional[Explanation]:
    return None


@dataclass(frozen=True)
class Endpoint:
    """A disk served over NBD.

    `name` is for messages. `connections` says how many the server takes at a time; None leaves
    that to the server's multi-conn flag. `log` returns the server's last words, if it has any,
    `explain` what they mean, where that is known. `maps_written_blocks` tells that block status
    calls every block of the disk's own file that was ever written allocated, zeros too; `reopens`
    that a reader whose connection fails may connect again, and has the same disk then;
    `writes_zeros` that the server itself writes the zeros it is asked for, in one piece.
    """

    uri: str
    name: str
    connections: Optional[int] = None
    log: Callable[[], str] = _no_log
    explain: Callable[[], Optional[Explanation]] = _no_explanation
    maps_written_blocks: bool = False
    reopens: bool = False
    writes_zeros: bool = False
