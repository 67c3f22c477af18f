# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Where the data of a file being restored goes: into a disk through a mover, or into the spool."""

from __future__ import annotations

import os
from typing import BinaryIO, Callable, Protocol

from bareos_vmsnap import errors
from bareos_vmsnap.fd.file_spool import FileSpool
from bareos_vmsnap.mover import client

_BLOCK = 1 << 16  # bytes, a multiple of file systems' block sizes


class Receiver(Protocol):
    """Takes one file's data through a file descriptor Bareos' core writes to."""

    @property
    def data_fd(self) -> int:
        """The descriptor to write to."""

    def finish(self) -> None:
        """All data was written. Raises errors.VmsnapError if it was not whole."""

    def abort(self) -> None:
        """The job ends before all data was written; safe to call from another thread."""


class ToDisk:
    """A segment on its way into a disk; `done` is called with the mover's report."""

    def __init__(
        self, name: str, mover: client.Mover, done: Callable[[client.Report], None]
    ) -> None:
        self._name = name
        self._mover = mover
        self._done = done

    @property
    def data_fd(self) -> int:
        """The end of the mover's channel that takes the segment."""
        return self._mover.data_fd

    def finish(self) -> None:
        """Wait until the disk has all of it. Raises errors.RestoreError and what `done` raises."""
        self._mover.close_data()
        try:
            report = self._mover.finish(client.WRITE_END_TIMEOUT)
        except client.MoverError as error:
            raise errors.RestoreError(
                f"Segment {self._name} was not restored: {error}", id="segment-not-restored"
            ) from error
        self._done(report)

    def abort(self) -> None:
        """Kill the mover."""
        self._mover.kill()

    def feed(self, source: BinaryIO) -> None:
        """Take the segment from a file instead of Bareos' core. Raises OSError."""
        self._mover.feed(source)


class ToSpool:
    """A file kept until its turn comes."""

    def __init__(self, spool: FileSpool, name: str) -> None:
        self._name = name
        self._file = spool.create(name)

    @property
    def data_fd(self) -> int:
        """The spool file."""
        return self._file.fileno()

    def finish(self) -> None:
        """Close the file. Raises errors.RestoreError if the disk was full."""
        close_whole(self._file, self._name)

    def abort(self) -> None:
        """There is nothing to stop."""


def close_whole(file: BinaryIO, name: str) -> None:
    """Close a file that Bareos' core has written `name` to.

    Raises errors.RestoreError if the disk was full: the core knows, but does not report it. A file
    that was cut short fills its last block, and there is no room for another.
    """
    size = os.fstat(file.fileno()).st_size
    try:
        with file:
            os.pwrite(file.fileno(), bytes(_BLOCK), size)
            os.ftruncate(file.fileno(), size)
    except OSError as error:
        raise errors.RestoreError(
            f"{name} was not written whole to {file.name}, of {size} bytes: {error.strerror}",
            todo="Make room there for all that is being restored",
            id="file-incomplete",
        ) from error
