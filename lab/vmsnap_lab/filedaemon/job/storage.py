# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The job's connection to the storage, and the volumes behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

from vmsnap_lab.filedaemon import frames, streams, volume


class RecordError(Exception):
    """The storage cannot read what it has stored."""


class Storage:
    """A connection that a cancel cuts off."""

    def __init__(self, channel: frames.Channel) -> None:
        self._channel = channel
        self._cut = False

    def cut_off(self) -> None:
        """From here on nothing is sent: the job was canceled."""
        self._cut = True

    @property
    def usable(self) -> bool:
        return not self._cut

    def close(self) -> None:
        self._channel.close()


class Listing(Storage):
    """Takes the records of an estimate; they get on no volume."""

    def send(self, file_index: int, stream: int, *data: Union[bytes, memoryview]) -> bool:
        """Whether the record could be sent."""
        if self._cut:
            return False
        self._send(file_index, stream, *data)
        return True

    def send_json(
        self, file_index: int, stream: int, value: dict[str, Any], data: bytes = b""
    ) -> bool:
        """One line of JSON, followed by `data`."""
        return self.send(file_index, stream, json.dumps(value).encode() + b"\n", data)

    def _send(self, file_index: int, stream: int, *data: Union[bytes, memoryview]) -> None:
        self._channel.send_record(file_index, stream, 0, *data)


class Saving(Listing):
    """Puts the records of a backup on a volume.

    Of a file's data only the size is reported to the storage, before the next record of another
    kind. `watched`: each block is reported. Raises ConnectionError if the storage is gone.
    """

    def __init__(self, channel: frames.Channel, path: Path, *, watched: bool) -> None:
        super().__init__(channel)
        self._writer = volume.Writer(path)
        self._watched = watched
        self._unreported = 0  # bytes of data of the present file

    def _send(self, file_index: int, stream: int, *data: Union[bytes, memoryview]) -> None:
        if stream in streams.BEFORE_DATA:
            self._writer.append(file_index, stream, *data)
            self._unreported += sum(map(len, data)) - streams.BEFORE_DATA[stream]
            if self._watched:
                self._report()
        else:
            self._report()
            self._writer.append(file_index, stream, *data)
            self._channel.send_record(file_index, stream, self._writer.position, *data)

    def _report(self) -> None:
        """Report to the storage what is on the volume since, and wait until it has noted that."""
        if not self._unreported:
            return
        self._channel.send_stored(frames.Stored(self._unreported, self._writer.position))
        self._unreported = 0
        if self._channel.receive() is None:
            raise ConnectionError("the storage went away")

    def close(self) -> None:
        self._writer.close()
        super().close()


class Loading(Storage):
    """Reads the records to restore from the volumes that the storage names."""

    def records(self) -> Iterator[frames.Record]:
        """To the end; the data of one are valid until the next one is read. Raises RecordError."""
        while (frame := self._channel.receive()) is not None:
            where, _ = frames.parse_json(frame[1])
            try:
                for found in volume.read(Path(where["path"]), where["begin"], where["end"]):
                    if self._cut:
                        return
                    yield found.record
            except volume.VolumeError as error:
                raise RecordError(str(error)) from error
