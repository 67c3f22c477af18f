# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Frames between the loopback file daemon and the process of one of its jobs."""

from __future__ import annotations

import json
import socket
import struct
import threading
from typing import Any, NamedTuple, Optional, Union

# To the job
JOB = 1  # JSON: what to do
OBJECT = 2  # JSON line, then the bytes of a restore object
FILES = 3  # JSON: name -> stat of the files of the previous jobs (Accurate)
START = 4  # no more to come, begin
CANCEL = 5
# From the job
ENTER = 10  # JSON: an entry point of the plugin is called
LEAVE = 11  # JSON: what it returned
MESSAGE = 12  # JSON: a job message
END = 13  # JSON: how the job ended on the file daemon
BROKEN = 14  # text: the loopback itself failed
# From the job to the storage
RECORD = 20  # file index, stream, where it ends on the volume, data: not for the data of files
STORED = 21  # bytes of file data now on the volume, where they end; the job awaits GO_ON
# From the storage to the job
GO_ON = 30
READ = 31  # JSON: records to restore, as path of the volume, begin, end

_HEADER = struct.Struct(">BI")  # kind, length of what follows
_RECORD = struct.Struct(">IIQ")
_STORED = struct.Struct(">QQ")

_Bytes = Union[bytes, bytearray, memoryview]


class Record(NamedTuple):
    file_index: int
    stream: int
    data: memoryview


class Stored(NamedTuple):
    """Data of the present file that were put on the volume, in bytes; `end` is a position there."""

    size: int
    end: int


class Channel:
    """One end of a connection; several threads may send, one receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, kind: int, *parts: _Bytes) -> None:
        """Raises OSError if the other end is closed."""
        header = _HEADER.pack(kind, sum(len(part) for part in parts))
        with self._lock:
            self._connection.sendall(header)
            for part in parts:
                self._connection.sendall(part)

    def send_json(self, kind: int, value: Any, data: _Bytes = b"") -> None:
        """`value` as one line, followed by `data`."""
        self.send(kind, json.dumps(value).encode() + b"\n", data)

    def send_record(self, file_index: int, stream: int, end: int, *data: _Bytes) -> None:
        self.send(RECORD, _RECORD.pack(file_index, stream, end), *data)

    def send_stored(self, stored: Stored) -> None:
        self.send(STORED, _STORED.pack(*stored))

    def receive(self) -> Optional[tuple[int, memoryview]]:
        """The next frame's kind and content; None when the other end has closed or died."""
        header = self._receive_exactly(_HEADER.size)
        if header is None:
            return None
        kind, length = _HEADER.unpack(header)
        content = self._receive_exactly(length)
        return None if content is None else (kind, content)

    def finish(self) -> None:
        """Send no more; the other end sees the end when it has received everything."""
        self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._connection.close()

    def _receive_exactly(self, size: int) -> Optional[memoryview]:
        buffer = memoryview(bytearray(size))
        filled = 0
        while filled < size:
            try:
                count = self._connection.recv_into(buffer[filled:])
            except ConnectionResetError:
                return None
            if count == 0:
                return None
            filled += count
        return buffer


def parse_json(content: memoryview) -> tuple[Any, bytes]:
    """The value and the data of a frame made by send_json."""
    line, _, data = bytes(content).partition(b"\n")
    return json.loads(line), data


def parse_record(content: memoryview) -> tuple[Record, int]:
    """The record and its end."""
    file_index, stream, end = _RECORD.unpack(content[: _RECORD.size])
    return Record(file_index, stream, content[_RECORD.size :]), end


def parse_stored(content: memoryview) -> Stored:
    return Stored(*_STORED.unpack(content))
