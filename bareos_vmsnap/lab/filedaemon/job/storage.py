# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The job's connection to the storage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Union

from bareos_vmsnap.lab.filedaemon import wire


class StorageError(Exception):
    """The storage cannot read what it has stored."""


class Storage:
    """Takes the records of a backup, gives those of a restore; a cancel cuts it off."""

    def __init__(self, channel: wire.Channel) -> None:
        self._channel = channel
        self._cut = False

    def cut_off(self) -> None:
        """From here on nothing is sent: the job was canceled."""
        self._cut = True

    @property
    def usable(self) -> bool:
        return not self._cut

    def send(self, file_index: int, stream: int, *data: Union[bytes, memoryview]) -> bool:
        """Whether the record could be sent."""
        if self._cut:
            return False
        self._channel.send_record(file_index, stream, *data)
        return True

    def send_json(
        self, file_index: int, stream: int, value: dict[str, Any], data: bytes = b""
    ) -> bool:
        """One line of JSON, followed by `data`."""
        return self.send(file_index, stream, json.dumps(value).encode() + b"\n", data)

    def records(self) -> Iterator[wire.Record]:
        """What the storage has of the files to restore, to its end. Raises StorageError."""
        while (frame := self._channel.receive()) is not None and not self._cut:
            kind, content = frame
            if kind == wire.BROKEN:
                raise StorageError(bytes(content).decode())
            yield wire.parse_record(content)

    def close(self) -> None:
        self._channel.close()
