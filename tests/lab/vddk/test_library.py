# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The library without nbdkit, which never breaks these rules of VDDK."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError, build

from .conftest import MIB
from .nbdkit import moref

CHUNK = 128  # sectors
CAPACITY = 4 * MIB // 512
OUT_OF_RANGE, NOT_INITIALISED = 16007, 16001
READ_ONLY = 4


class Params(ctypes.Structure):
    _fields_ = [
        ("vm", ctypes.c_char_p),
        ("server", ctypes.c_char_p),
        ("thumbprint", ctypes.c_char_p),
        ("private", ctypes.c_long),
        ("kind", ctypes.c_int),
        ("user", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("key", ctypes.c_char_p),
        ("port", ctypes.c_uint32),
        ("nfc_port", ctypes.c_uint32),
    ]


class Library:
    """A thin face over the C functions: each returns a VIX error."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        for name in ("InitEx", "ConnectEx", "Open", "Close", "Disconnect", "Create", "Read"):
            self.get(name)

    def get(self, name: str) -> Any:
        function = getattr(self._library, f"VixDiskLib_{name}")
        function.restype = ctypes.c_uint64
        return function

    def call(self, name: str, *arguments: Any) -> int:
        return self.get(name)(*arguments)


@pytest.fixture
def library(lab: Lab) -> Iterator[Library]:
    made = Library(build.library())
    libdir = str(lab.vddk.libdir).encode()
    assert made.call("InitEx", 8, 0, None, None, None, libdir, None) == VixError.OK
    yield made
    made.call("Exit")


def number(value: int) -> ctypes.c_uint64:
    return ctypes.c_uint64(value)


@pytest.fixture
def disk(library: Library, lab: Lab, guest: Guest) -> Iterator[ctypes.c_void_p]:
    snapshot = moref(guest, "first")
    assert snapshot is not None
    texts = (f"moref={guest.moref}", lab.host, lab.thumbprint)
    vm, server, thumbprint = (text.encode() for text in texts)
    user, password = lab.user.encode(), lab.password.encode()
    params = Params(vm, server, thumbprint, 0, 1, user, password, None, lab.port, 0)
    # The structure is longer than what is of interest here.
    space = ctypes.create_string_buffer(bytes(params) + bytes(64))
    connection, handle = ctypes.c_void_p(), ctypes.c_void_p()
    one, reference = ctypes.c_char(1), snapshot.encode()
    error = library.call("ConnectEx", space, one, reference, None, ctypes.byref(connection))
    assert error == VixError.OK
    path = guest.path(2000, "first").encode()
    error = library.call("Open", connection, path, READ_ONLY, ctypes.byref(handle))
    assert error == VixError.OK
    yield handle
    assert library.call("Close", handle) == VixError.OK
    assert library.call("Disconnect", connection) == VixError.OK


@pytest.mark.parametrize(
    ("start", "sectors", "chunk", "error"),
    [
        (0, CAPACITY, CHUNK, VixError.OK),
        (2 * CHUNK, 4 * CHUNK, 2 * CHUNK, VixError.OK),
        (0, CHUNK, CHUNK // 2, VixError.INVALID_ARG),
        (0, 0, CHUNK, VixError.INVALID_ARG),
        (1, CHUNK, CHUNK, VixError.INVALID_ARG),
        (CHUNK, 2 * CHUNK, 2 * CHUNK, VixError.INVALID_ARG),
        (0, CHUNK + 1, CHUNK, VixError.INVALID_ARG),
        (0, (512 * 1024 + 1) * CHUNK, CHUNK, VixError.INVALID_ARG),
        (0, CAPACITY + CHUNK, CHUNK, OUT_OF_RANGE),
        (CAPACITY, CHUNK, CHUNK, OUT_OF_RANGE),
    ],
)
def test_chunks(
    library: Library, disk: ctypes.c_void_p, start: int, sectors: int, chunk: int, error: int
) -> None:
    found = ctypes.c_void_p()
    arguments = (number(start), number(sectors), number(chunk), ctypes.byref(found))
    assert library.call("QueryAllocatedBlocks", disk, *arguments) == error
    if error == VixError.OK:
        library.call("FreeBlockList", found)


@pytest.mark.parametrize(
    ("start", "sectors", "error"),
    [
        (CAPACITY - 1, 1, VixError.OK),
        (CAPACITY - 1, 2, OUT_OF_RANGE),
        (1 << 62, 1, OUT_OF_RANGE),
        (0, 1 << 62, OUT_OF_RANGE),
        (0, 0, VixError.DISK_INVAL),
    ],
)
def test_ranges(
    library: Library, disk: ctypes.c_void_p, start: int, sectors: int, error: int
) -> None:
    buffer = ctypes.create_string_buffer(1024)
    assert library.call("Read", disk, number(start), number(sectors), buffer) == error


def test_a_disk_opened_for_reading(library: Library, disk: ctypes.c_void_p) -> None:
    buffer = ctypes.create_string_buffer(512)
    assert library.call("Read", disk, number(0), number(1), buffer) == VixError.OK
    assert buffer.raw == b"A" * 512
    error = library.call("Write", disk, number(0), number(1), buffer)
    assert error == VixError.FILE_READ_ONLY


def test_no_disk_can_be_created(library: Library) -> None:
    assert library.call("Create", None, b"a.vmdk", None, None, None) == VixError.NOT_SUPPORTED


def test_it_is_initialised_once(library: Library, lab: Lab) -> None:
    libdir = str(lab.vddk.libdir).encode()
    assert library.call("InitEx", 8, 0, None, None, None, libdir, None) == 16053
    library.call("Exit")
    assert library.call("InitEx", 9, 0, None, None, None, libdir, None) == VixError.NOT_SUPPORTED
    params, connection = Params(b"moref=vm-1", b"localhost"), ctypes.c_void_p()
    arguments = (ctypes.byref(params), ctypes.c_char(1), None, None, ctypes.byref(connection))
    assert library.call("ConnectEx", *arguments) == NOT_INITIALISED


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.BuildError, match="there is no gcc; install gcc libc6-dev"):
        build.compile_library(tmp_path / "library.so")
