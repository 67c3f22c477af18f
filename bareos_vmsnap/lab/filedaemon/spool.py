# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The storage's side of a job: records onto a volume, records from volumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

from bareos_vmsnap.lab.filedaemon import catalog, objects, result, streams, volume, wire
from bareos_vmsnap.lab.filedaemon.bareos_modules import bareosfd

_BEFORE_DATA = {streams.FILE_DATA: 0, streams.SPARSE_DATA: streams.ADDRESS}  # bytes


class BackupSpool:
    """Takes the records of a backup.

    Restore objects get into the catalog at once, as in Bareos; `files` is for the caller to put
    there when the job ends well. `errors` are what the Director could not take; `crash` is what it
    would have died of.
    """

    def __init__(
        self,
        jobid: int,
        path: Path,
        into: catalog.Catalog,
        on_stored: Callable[[int], None],
    ) -> None:
        self.files: list[catalog.StoredFile] = []
        self.errors: list[str] = []
        self.crash: Optional[str] = None
        self._jobid = jobid
        self._path = path
        self._catalog = into
        self._on_stored = on_stored
        self._begin = 0

    def serve(self, channel: wire.Channel) -> None:
        """Until the job closes the connection or dies."""
        with volume.Writer(self._path) as writer:
            last = 0
            for record in _received(channel):
                if record.file_index != last:
                    self._begin, last = writer.position, record.file_index
                writer.append(record.file_index, record.stream, record.data)
                self._note(record, writer.position)

    def _note(self, record: wire.Record, end: int) -> None:
        if record.stream == streams.RESTORE_OBJECT:
            self._add_object(record)
        elif record.stream == streams.UNIX_ATTRIBUTES:
            file = file_of(self._jobid, record)
            if "/" not in file.name:  # a directory whose savepkt.link is empty has no name at all
                self.errors.append(f"Path length is zero. File={file.name}")
            self.files.append(catalog.StoredFile(file, self._begin, end))
        elif self.files and self.files[-1].file.file_index == record.file_index:
            file, begin, _ = self.files[-1]
            if record.stream in _BEFORE_DATA:
                size = len(record.data) - _BEFORE_DATA[record.stream]
                file = replace(file, stored=file.stored + size)
                self._on_stored(size)
            self.files[-1] = catalog.StoredFile(file, begin, end)

    def _add_object(self, record: wire.Record) -> None:
        header, data = wire.parse_json(record.data)
        try:
            found = objects.pack(self._jobid, header, data)
        except objects.MalformedMessage as error:
            self.errors.append(f"Malformed message: {error}")
            found = objects.malformed(self._jobid, header)
        except objects.DirectorCrash as error:
            self.crash = str(error)
            return
        self._catalog.add_object(found)


class EstimateSpool:
    """Takes the listing of an estimate."""

    def __init__(self) -> None:
        self.files: list[result.CatalogFile] = []

    def serve(self, channel: wire.Channel) -> None:
        self.files.extend(file_of(0, record) for record in _received(channel))


class RestoreFeed:
    """Sends the records of some files, in the order given; a broken volume fails the job."""

    def __init__(
        self, files: Sequence[catalog.StoredFile], volume_path: Callable[[int], Path]
    ) -> None:
        self._files = files
        self._volume_path = volume_path

    def serve(self, channel: wire.Channel) -> None:
        try:
            for stored in self._files:
                path = self._volume_path(stored.file.jobid)
                for found in volume.read(path, stored.begin, stored.end):
                    channel.send_record(*found.record)
            channel.finish()
        except volume.VolumeError as error:
            channel.send(wire.BROKEN, str(error).encode())
        except (BrokenPipeError, ConnectionResetError):
            return  # the job wants no more


def file_of(jobid: int, record: wire.Record) -> result.CatalogFile:
    """The file that a record of attributes describes, with nothing stored of it yet."""
    attributes, _ = wire.parse_json(record.data)
    deleted = attributes["type"] == bareosfd.FT_DELETED
    return result.CatalogFile(
        jobid=jobid,
        file_index=catalog.DELETED if deleted else record.file_index,
        name=attributes["name"],
        type=attributes["type"],
        link=attributes["link"],
        size=attributes["stat"]["st_size"],
        stored=0,
        mtime=attributes["stat"]["st_mtime"],
        stat=attributes["stat"],
    )


def _received(channel: wire.Channel) -> Iterator[wire.Record]:
    while (frame := channel.receive()) is not None:
        yield wire.parse_record(frame[1])
