# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The disk images that rows read, made when they are first asked for and kept between runs."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from tests.bench.content import MIB, PIECE, Content

# Part of the names: raise it if the same name shall hold something else.
EDITION = 2
# Nothing else in the folder is touched: --dir may be anybody's.
_OURS = re.compile(r"(?:mix|noise|changed-mix|thin|empty)-[0-9.-]+\.(\d+)\.raw")
GRANULE = 64 << 10  # what `compare` tells apart


class Disks:
    """Raw images below `folder`, not on a tmpfs: there block status walks all pages of a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            made = _OURS.fullmatch(path.name)
            if made and int(made[1]) < EDITION:
                path.unlink()  # nobody asks for it any more

    def mix(self, size: int) -> Path:
        """The reference mix, without holes."""
        return self._made(f"mix-{size}", lambda file: _fill(file, Content().mix(size)))

    def noise(self, size: int) -> Path:
        """Incompressible."""
        content = Content(2)
        pieces = (content.noise(min(PIECE, size - at)) for at in range(0, size, PIECE))
        return self._made(f"noise-{size}", lambda file: _fill(file, pieces))

    def changed_mix(self, size: int, share: float) -> Path:
        """The reference mix with this share of it overwritten, in granules of 64 KiB."""

        def make(file: BinaryIO) -> None:
            _fill(file, Content().mix(size))
            source = random.Random(3)
            granules = size // GRANULE
            for granule in sorted(source.sample(range(granules), max(1, int(granules * share)))):
                file.seek(granule * GRANULE)
                file.write(source.randbytes(GRANULE))

        return self._made(f"changed-mix-{size}-{share}", make)

    def thin(self, data: int, capacity: int, piece: int = PIECE) -> Path:
        """A sparse disk whose data, the reference mix, lie in pieces all over it."""

        def make(file: BinaryIO) -> None:
            count = data // piece
            stride = capacity // count // GRANULE * GRANULE
            pieces = Content().mix(data)
            rest = b""
            for number in range(count):
                while len(rest) < piece:
                    rest += next(pieces)
                file.seek(number * stride)
                file.write(rest[:piece])
                rest = rest[piece:]
            file.truncate(capacity)

        return self._made(f"thin-{data}-{capacity}-{piece}", make)

    def empty(self, capacity: int) -> Path:
        """Nothing but a hole."""
        return self._made(f"empty-{capacity}", lambda file: _resize(file, capacity))

    def _made(self, name: str, make: Callable[[BinaryIO], None]) -> Path:
        path = self._folder / f"{name}.{EDITION}.raw"
        if not path.exists():
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                make(file)
                file.flush()
                os.fsync(file.fileno())  # or else it is written while something is measured
            partial.rename(path)
        return path


def warm(*paths: Path) -> None:
    """Read files, so that they are in the page cache."""
    buffer = bytearray(MIB)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            place = 0
            while True:
                try:
                    place = os.lseek(file.fileno(), place, os.SEEK_DATA)
                except OSError:
                    break  # nothing but a hole to the end
                end = os.lseek(file.fileno(), place, os.SEEK_HOLE)
                file.seek(place)
                while place < end:
                    place += file.readinto(buffer) or 0


def _fill(file: BinaryIO, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        file.write(piece)


def _resize(file: BinaryIO, capacity: int) -> None:
    file.truncate(capacity)
