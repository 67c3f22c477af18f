# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Buffers that are compared without copies, and settings of malloc."""

from __future__ import annotations

import ctypes

# Python's own comparisons copy, or compare memoryviews byte by byte. PyDLL keeps the interpreter
# lock: most calls end at the first bytes; a whole MiB takes 15 microseconds.
_memcmp = ctypes.PyDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_memcmp.restype = ctypes.c_int

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


class Buffer:
    """A fixed piece of memory; `view` is its content."""

    def __init__(self, size: int):
        content = bytearray(size)
        self.view = memoryview(content)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(content))

    def is_zero(self, start: int, length: int) -> bool:
        """Whether `length` bytes (at least one) from `start` on are all zero."""
        # All bytes equal their neighbour and the first is zero.
        place = self.address + start
        return self.view[start] == 0 and _memcmp(place, place + 1, length - 1) == 0

    def equals(self, other: Buffer, start: int, length: int) -> bool:
        """Whether two buffers have the same `length` bytes from `start` on."""
        return bool(_memcmp(self.address + start, other.address + start, length) == 0)


def keep_freed_blocks(size: int) -> None:
    """Let malloc keep freed blocks of up to `size` bytes instead of returning them to the kernel.

    Compressed data comes in new blocks of about a chunk; getting new pages each time takes longer
    than compressing incompressible data.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * size)
        libc.mallopt(_M_TRIM_THRESHOLD, 16 * size)
        libc.mallopt(_M_TOP_PAD, size)
