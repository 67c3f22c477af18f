# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Checks a whole segment without applying it."""

from __future__ import annotations

from typing import Any, NamedTuple

from bareos_vmsnap.stream.frame import Totals
from bareos_vmsnap.stream.reader import SegmentReader


class Verified(NamedTuple):
    """A segment known to be whole: its header, its totals and its size in bytes."""

    header: dict[str, Any]
    totals: Totals
    stream_bytes: int


def verify(source: Any) -> Verified:
    """Read a segment to its end, check all of it, and return what it holds.

    Memory is bounded by the chunk size. Raises SegmentDamagedError or SegmentTooNewError.
    """
    reader = SegmentReader(source)
    for _ in reader:
        pass
    assert reader.totals is not None
    return Verified(reader.header, reader.totals, reader.position)
