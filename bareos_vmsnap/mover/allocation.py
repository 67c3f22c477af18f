# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which parts of a disk its server does not promise to read as zeros."""

from __future__ import annotations

from collections.abc import Iterator

import nbd

from bareos_vmsnap.extents import Extent
from bareos_vmsnap.mover.connection import Connection

# Servers count extents in 32 bits; nbdkit's VDDK plugin cuts longer ones where they cannot be
# continued, and wants questions that start at its 64 KiB chunks.
QUESTION = 2 << 30
ALIGNMENT = 64 << 10


def is_known(connection: Connection) -> bool:
    """Tell whether the server answers questions about allocation."""
    return bool(connection.handle.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION))


def data_ranges(connection: Connection, notes: list[str]) -> Iterator[Extent]:
    """Yield sorted extents that hold all data of the disk; they may touch.

    Where the server does not answer, everything counts as data, and a note for people tells so.
    """
    size = connection.size
    if not is_known(connection):
        notes.append(
            f"{connection.endpoint.name} does not tell what is allocated: reading all of it"
        )
        yield 0, size
        return
    place = 0
    while place < size:
        end = min(size, place - place % ALIGNMENT + QUESTION)
        try:
            answer = _ask(connection, place, end)
        except nbd.Error as error:
            notes.append(
                f"{connection.endpoint.name} failed to tell what is allocated at offset {place}:"
                f" reading all from there ({error})"
            )
            yield place, size - place
            return
        for length, flags in answer:
            if not flags & nbd.STATE_ZERO:
                yield place, length
            place += length


def _ask(connection: Connection, place: int, end: int) -> list[tuple[int, int]]:
    """Return (length, flags) from `place` on, at least one byte, at most up to `end`."""
    answer: list[tuple[int, int]] = []

    def collect(context: str, offset: int, entries: list[int], error: object) -> None:
        if context == nbd.CONTEXT_BASE_ALLOCATION and offset == place and not answer:
            answer.extend(zip(entries[0::2], entries[1::2]))

    connection.handle.block_status(end - place, place, collect)
    clipped = []
    for length, flags in answer:
        length = min(length, end - place)
        if length:
            clipped.append((length, flags))
            place += length
    if not clipped:
        raise nbd.Error("empty answer to a block status request", 0)
    return clipped
