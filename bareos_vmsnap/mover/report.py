# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a mover reports to its client (standard library only)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.stream import layout


@dataclass(frozen=True)
class Queue:
    """A mover waits, or has waited for `seconds`, for a connection to `scope`."""

    scope: str
    seconds: float
    waiting: bool

    def __str__(self) -> str:
        if self.waiting:
            return f"waiting for a free connection to {self.scope}: other jobs have all of them"
        return f"waited {self.seconds:.0f} s for a connection to {self.scope}"


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
    notes: list[str]

    @classmethod
    def parse(cls, line: Mapping[str, Any]) -> Report:
        """Return the report of a success. Raises ValueError if it does not add up."""
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in line]
        if missing:
            raise ValueError(f"report lacks {', '.join(missing)}")
        report = cls(**{name: line[name] for name in names})
        least = layout.stream_size(0, report.frames, report.stored_bytes)
        if not least < report.stream_bytes <= least + layout.MAX_HEADER:
            raise ValueError(
                f"segment of {report.stream_bytes} bytes with {report.frames} frames and"
                f" {report.stored_bytes} stored bytes"
            )
        if report.stored_bytes > report.data_bytes or len(report.digest) != 32:
            raise ValueError("stored bytes exceed data bytes, or the digest is not one")
        return report


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
            text += f"; last words: {stderr}"
        super().__init__(text, id=id)
        self.reason = reason
