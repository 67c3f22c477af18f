# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which parts of a disk may hold data, or were written, according to its server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import nbd

from bareos_vmsnap.extents import Extent
from bareos_vmsnap.mover.child.errors import NbdError
from bareos_vmsnap.mover.child.nbd_connection import Connection

BASE = nbd.CONTEXT_BASE_ALLOCATION
# Of qemu-nbd: the depth in the chain at which a block was written, 0 if it never was.
DEPTH = "qemu:allocation-depth"

# Servers count extents in 32 bits; nbdkit's VDDK plugin cuts longer ones where they cannot be
# continued, and needs requests that start at its 64 KiB chunks.
QUESTION = 2 << 30
ALIGNMENT = 64 << 10


def data_ranges(
    connection: Connection, notes: list[str], alive: Callable[[], None]
) -> Iterator[Extent]:
    """Yield sorted extents that hold all data of the disk; they may touch.

    VDDK may take seconds for an answer, and a large disk needs many: `alive` is called after each.
    If the server does not answer, everything counts as data, and `notes` gets a remark.
    """
    place, size = 0, connection.size
    if not connection.handle.can_meta_context(BASE):
        notes.append(
            f"{connection.endpoint.name} does not tell what is allocated: reading all of it"
        )
        yield 0, size
        return
    try:
        for start, length, flags in _answers(connection, BASE, alive):
            place = start + length
            if not flags & nbd.STATE_ZERO:
                yield start, length
    except nbd.Error as error:
        notes.append(
            f"{connection.endpoint.name} failed to tell what is allocated at offset {place}:"
            f" reading all from there ({error})"
        )
        yield place, size - place


def written_ranges(connection: Connection, alive: Callable[[], None]) -> Iterator[Extent]:
    """Yield sorted extents that hold all that was ever written to the one file that is open.

    They include written zeros, which hide the parent's data. Raises NbdError if the server does
    not answer, or cannot tell written zeros from blocks that were never written.
    """
    by_depth = connection.handle.can_meta_context(DEPTH)
    by_base = connection.endpoint.maps_written_blocks and connection.handle.can_meta_context(BASE)
    if not by_depth and not by_base:
        raise NbdError(
            f"{connection.endpoint.name} does not tell what was written in it",
            id="allocation-unknown",
        )
    try:
        for start, length, value in _answers(connection, DEPTH if by_depth else BASE, alive):
            if value != 0 if by_depth else not value & nbd.STATE_HOLE:
                yield start, length
    except nbd.Error as error:
        raise connection.failure("block status", 0, connection.size, error) from error


def _answers(
    connection: Connection, context: str, alive: Callable[[], None]
) -> Iterator[tuple[int, int, int]]:
    """Yield (start, length, value) for the whole disk. Raises nbd.Error."""
    size = connection.size
    place = 0
    while place < size:
        end = min(size, place - place % ALIGNMENT + QUESTION)
        for length, value in _ask(connection, context, place, end):
            yield place, length, value
            place += length
        connection.used()
        alive()


def _ask(connection: Connection, context: str, place: int, end: int) -> list[tuple[int, int]]:
    """Return (length, flags) from `place` on: at least one byte, none beyond `end`."""
    answer: list[tuple[int, int]] = []

    def collect(name: str, offset: int, entries: list[int], error: object) -> None:
        if name == context and offset == place and not answer:
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
