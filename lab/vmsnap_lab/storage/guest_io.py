# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reading and writing a disk as the guest of a VM would, through qemu-nbd and libnbd."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from vmsnap_lab.storage.errors import Kind, StorageError
from vmsnap_lab.storage.nbd_server import Image, NbdServer

if TYPE_CHECKING:
    import nbd

_CHUNK = 8 << 20  # NBD allows 32 MiB for data
_ZEROS = 1 << 30  # and 4 GiB for zeros and block status
_CLOSING = 60.0

Payload = Union[bytes, int]
"""What is written: data, or that many bytes of zeros."""


def libnbd() -> Any:
    """The module nbd, loaded when it is needed: the help of vmsnap-lab does without.

    Raises ModuleNotFoundError, which names the package, if it is not installed.
    """
    try:
        import nbd
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "The Python module nbd is missing. It is not on PyPI: install the distribution's package"
            " (python3-libnbd), and use its Python or an environment with --system-site-packages",
            name="nbd",
        ) from None
    return nbd


@contextmanager
def session(image: Image, keep: int) -> Iterator[nbd.NBD]:
    """A connection to a server of its own, which has closed the disk when the context ends.

    Raises StorageError "corrupt" when the disk cannot be opened or read, "no-space" when the
    datastore is full.
    """
    nbd = libnbd()
    with tempfile.TemporaryDirectory(prefix="vmsnap-lab-") as folder:
        name = str(Path(folder, "guest"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
            listener.listen()
            server = NbdServer(listener, image, keep, cache="unsafe")
        try:
            handle = nbd.NBD()
            handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
            handle.connect_unix(name)
            yield handle
            handle.shutdown()
            server.wait(_CLOSING)
            if complaint := server.complaint():
                raise StorageError("corrupt", f"{image.file.name}: {complaint}")
        except nbd.Error as error:
            server.stop()
            kind: Kind = "no-space" if error.errno == "ENOSPC" else "corrupt"
            reason = server.complaint() or str(error)
            raise StorageError(kind, f"{image.file.name}: {reason}") from error
        finally:
            server.stop()
            server.close()


def write(handle: nbd.NBD, writes: Sequence[tuple[int, Payload]]) -> None:
    """Write at byte offsets, in this order."""
    for offset, payload in writes:
        if isinstance(payload, int):
            for start in range(0, payload, _ZEROS):
                handle.zero(min(_ZEROS, payload - start), offset + start)
        else:
            for start in range(0, len(payload), _CHUNK):
                handle.pwrite(payload[start : start + _CHUNK], offset + start)


def read(handle: nbd.NBD, offset: int, length: int) -> bytes:
    ends = range(offset, offset + length, _CHUNK)
    return b"".join(handle.pread(min(_CHUNK, offset + length - at), at) for at in ends)


def sha256(handle: nbd.NBD) -> str:
    """The digest of the whole content, in hexadecimal digits."""
    digest = hashlib.sha256()
    zeros = bytes(_CHUNK)
    for offset, length, zero in _map(handle):
        for at in range(offset, offset + length, _CHUNK):
            size = min(_CHUNK, offset + length - at)
            digest.update(memoryview(zeros)[:size] if zero else handle.pread(size, at))
    return digest.hexdigest()


def _map(handle: nbd.NBD) -> Iterator[tuple[int, int, bool]]:
    """(offset, length, whether it reads as zeros) of the whole disk."""
    offset, capacity = 0, handle.get_size()
    while offset < capacity:
        entries: list[int] = []

        def collect(_context: str, _start: int, found: list[int], _error: int) -> int:
            entries.extend(found)  # noqa: B023 - called before the loop goes on
            return 0

        handle.block_status(min(_ZEROS, capacity - offset), offset, collect)
        for length, flags in zip(entries[::2], entries[1::2]):
            length = min(length, capacity - offset)
            yield offset, length, bool(flags & libnbd().STATE_ZERO)
            offset += length
