# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the disks hold: noise, text, zeros, and the reference mix of the three."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache

MIB = 1 << 20
GIB = 1 << 30
PIECE = 4 * MIB

# Words of a made-up language, the frequent ones often: lz4 shrinks them to 0.64.
_WORDS = 5500
_LETTERS = b"etaoinshrdlucmfwypvbgkjqxz"
_FREQUENCIES = (
    *(120, 90, 80, 75, 70, 67, 63, 61, 60, 42, 40, 28, 28),
    *(24, 24, 22, 20, 20, 19, 15, 10, 8, 2, 2, 1, 1),
)
_POOL = 8 * MIB


class Content:
    """Pieces of content. The same seed gives the same pieces."""

    def __init__(self, seed: int = 1) -> None:
        self._source = random.Random(seed)

    def noise(self, size: int) -> bytes:
        """What nothing can compress."""
        return self._source.randbytes(size)

    def text(self, size: int) -> bytes:
        """Like text, of at most half the pool's size (4 MiB).

        Slices of one pool, at other places each time: lz4 looks back 64 KiB only.
        """
        pool = _words(_POOL)
        start = self._source.randrange(len(pool) - size)
        return pool[start : start + size]

    def mix(self, size: int) -> Iterator[bytes]:
        """The reference mix: 40 % noise, 40 % text, 20 % zeros, in shuffled pieces of 4 MiB.

        Of disks below 40 MiB the pieces are smaller.
        """
        piece = min(PIECE, size // 10 // 512 * 512)
        count = -(-size // piece)
        kinds = [("noise", "noise", "text", "text", "zero")[n % 5] for n in range(count)]
        self._source.shuffle(kinds)
        for number, kind in enumerate(kinds):
            length = min(piece, size - number * piece)
            if kind == "zero":
                yield bytes(length)
            else:
                yield self.noise(length) if kind == "noise" else self.text(length)

    def endless_mix(self) -> Iterator[bytes]:
        """Pieces of 1 MiB without zeros: noise and text in turn."""
        while True:
            yield self.noise(MIB)
            yield self.text(MIB)


@lru_cache(maxsize=1)  # a pool takes longer to make than many a disk
def _words(size: int) -> bytes:
    source = random.Random("pool")
    words = [
        bytes(source.choices(_LETTERS, weights=_FREQUENCIES, k=source.randint(2, 10))) + b" "
        for _ in range(_WORDS)
    ]
    weights = [(rank + 1) ** -0.8 for rank in range(_WORDS)]
    text = b""
    while len(text) < size:
        text += b"".join(source.choices(words, weights=weights, k=size // 6))
    return text[:size]
