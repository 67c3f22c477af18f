# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Lends memory to a pipe instead of copying it there: vmsplice(2)."""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import termios
from collections import deque
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional

from bareos_vmsnap.stream.payload import Bytes

_IOV_MAX = 1024
# Less is copied: the pipe would spend a whole page on each piece.
_WORTH_LENDING = 16 << 10
# The kernel cannot do it, or the descriptor is no pipe.
_CANNOT = (errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP)


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


_vmsplice: Optional[Any] = getattr(ctypes.CDLL(None, use_errno=True), "vmsplice", None)
if _vmsplice is not None:
    _vmsplice.argtypes = (ctypes.c_int, ctypes.POINTER(_Vector), ctypes.c_size_t, ctypes.c_uint)
    _vmsplice.restype = ctypes.c_ssize_t


class _Lent(NamedTuple):
    """Memory the pipe refers to until its reader has taken all bytes up to `end`."""

    end: int
    data: Sequence[Bytes]
    release: Optional[Callable[[], None]]


# What the reader had not taken when a writer was done with: freed memory would be used again.
_until_exit: list[deque[_Lent]] = []


class PipeWriter:
    """Writes to a pipe whose reader copies (read(2)), as Bareos' core does.

    A reader that splices the pipe's pages further would see them change when they are used again.
    For a process that writes one pipe and ends: what is in the pipe then stays there unchanged.
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._lends = _vmsplice is not None
        self._written = 0
        self._lent: deque[_Lent] = deque()
        _until_exit.append(self._lent)
        self._unread = array.array("i", [0])

    def write(self, data: Sequence[Bytes], release: Optional[Callable[[], None]] = None) -> None:
        """Write all of `data`, which must not change until `release` is called, at a later write.

        Raises OSError.
        """
        views = [memoryview(each) for each in data if len(each)]
        total = sum(map(len, views))
        lent = self._lends and total >= _WORTH_LENDING and self._lend(data, total)
        if not lent:
            self._copy(views)
        self._written += total
        if lent:
            self._lent.append(_Lent(self._written, data, release))
        elif release:
            release()
        self._take_back()

    def _lend(self, data: Sequence[Bytes], total: int) -> bool:
        """False where that cannot be done at all; nothing is written then."""
        vectors = (_Vector * len(data))(*[_Vector(_address(each), len(each)) for each in data])
        first, left = 0, total
        while left:
            count = min(len(data) - first, _IOV_MAX)
            assert _vmsplice is not None
            done = _vmsplice(self._descriptor, ctypes.byref(vectors[first]), count, 0)
            if done < 0:
                number = ctypes.get_errno()
                if number == errno.EINTR:
                    continue
                if number in _CANNOT and left == total:
                    self._lends = False
                    return False
                raise OSError(number, os.strerror(number))
            left -= done
            while first < len(data) and done >= vectors[first].length:
                done -= vectors[first].length
                first += 1
            if done:
                vectors[first].base += done
                vectors[first].length -= done
        return True

    def _copy(self, views: list[memoryview]) -> None:
        first = 0
        while first < len(views):
            written = os.writev(self._descriptor, views[first : first + _IOV_MAX])
            while first < len(views) and written >= len(views[first]):
                written -= len(views[first])
                first += 1
            if written:
                views[first] = views[first][written:]

    def _take_back(self) -> None:
        """Release what the reader has taken."""
        if not self._lent:
            return
        fcntl.ioctl(self._descriptor, termios.FIONREAD, self._unread)
        taken = self._written - self._unread[0]
        while self._lent and self._lent[0].end <= taken:
            release = self._lent.popleft().release
            if release:
                release()


def _address(data: Bytes) -> int:
    if isinstance(data, bytes):
        return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
    return ctypes.addressof(ctypes.c_char.from_buffer(data))
