# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a transport hands out, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional

from bareos_vmsnap.errors import VmsnapError

# Keys of every description; `slots` are what its connections count for, see mover.slots.
COMMON: Mapping[str, type] = {"transport": str, "slots": list}


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


def check_keys(
    description: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]
) -> None:
    """Raise TransportError unless a description has the required keys, of their types, and no unknown ones."""
    transport = description["transport"]
    for key in required:
        if key not in description:
            raise TransportError(f"transport {transport}: {key} is missing")
    known = {**COMMON, **required, **optional}
    for key, value in description.items():
        if key not in known:
            raise TransportError(f"transport {transport}: unknown key {key}")
        if value is not None and type(value) is not known[key]:
            raise TransportError(
                f"transport {transport}: {key} must be of type {known[key].__name__}"
            )
