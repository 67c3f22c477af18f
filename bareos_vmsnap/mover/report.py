# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a mover reports to its client (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union

from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.stream import layout


@dataclass(frozen=True)
class Queued:
    """The mover waits for a connection to `scope`: other movers have all of them."""

    scope: str
    event: Literal["queued"] = "queued"

    def __str__(self) -> str:
        return f"waiting for a free connection to {self.scope}: other jobs have all of them"


@dataclass(frozen=True)
class Admitted:
    """The mover no longer waits for a connection to `scope`; it did for `seconds`."""

    scope: str
    seconds: float
    event: Literal["admitted"] = "admitted"

    def __str__(self) -> str:
        return f"waited {self.seconds:.0f} s for a connection to {self.scope}"


@dataclass(frozen=True)
class Alive:
    """Opening the disks makes progress."""

    event: Literal["alive"] = "alive"


@dataclass(frozen=True)
class Ready:
    """The disks are open and data can flow."""

    event: Literal["ready"] = "ready"


@dataclass(frozen=True)
class Failure:
    """What went wrong, for an admin, with the id of the message."""

    message: str
    id: str
    event: Literal["failure"] = "failure"


@dataclass(frozen=True)
class Report:
    """What a finished mover has moved.

    `data_bytes` and `zero_bytes` are raw bytes in frames, `stored_bytes` the size of the data as
    stored, `stream_bytes` that of the whole segment. `notes` are remarks for the job log.
    """

    frames: int
    data_bytes: int
    zero_bytes: int
    stored_bytes: int
    stream_bytes: int
    digest: str
    notes: tuple[str, ...] = ()
    event: Literal["success"] = "success"

    def check(self) -> None:
        """Raise ValueError if the totals do not add up."""
        least = layout.stream_size(0, self.frames, self.stored_bytes)
        if not least < self.stream_bytes <= least + layout.MAX_HEADER:
            raise ValueError(
                f"segment of {self.stream_bytes} bytes with {self.frames} frames and"
                f" {self.stored_bytes} stored bytes"
            )
        if self.stored_bytes > self.data_bytes or len(self.digest) != 32:
            raise ValueError("stored bytes exceed data bytes, or the digest is not one")


Event = Union[Queued, Admitted, Alive, Ready, Failure, Report]


class MoverError(VmsnapError):
    """A mover failed.

    The id is the one the mover reported, or describes the end of the process. `reason` is the bare
    message; the exception's text adds how the process ended.
    """

    def __init__(self, reason: str, ending: str = "", stderr: str = "", *, id: str):
        text = reason
        if ending:
            text += f" ({ending})"
        if stderr:
            text += f"; last output: {stderr}"
        super().__init__(text, id=id)
        self.reason = reason
