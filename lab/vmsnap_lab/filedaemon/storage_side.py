# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The storage's side of a job: what it has put on its volume, what it is to read from volumes.

The bytes do not pass here: the job's process writes and reads the volumes itself, since sending
them from one process to the other costs more than all else that is done with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

from vmsnap_lab.filedaemon import catalog, frames, restore_objects, result, streams, volume
from vmsnap_lab.filedaemon.bareos_modules import bareosfd


class BackupSpool:
    """Collects the records of a backup.

    Restore objects get into the catalog at once, as in Bareos; `files` is for the caller to put
    there when the job ends well. `errors` are what the Director could not take; `crash` is what it
    would have died of.
    """

    def __init__(
        self,
        jobid: int,
        into: catalog.Catalog,
        on_stored: Callable[[int], None],
    ) -> None:
        self.files: list[catalog.StoredFile] = []
        self.errors: list[str] = []
        self.crash: Optional[str] = None
        self._jobid = jobid
        self._catalog = into
        self._on_stored = on_stored
        self._last = 0  # file index
        self._begin = self._end = volume.START  # of the records with that index

    def serve(self, channel: frames.Channel) -> None:
        """Until the job closes the connection or dies."""
        while (frame := channel.receive()) is not None:
            kind, content = frame
            if kind == frames.RECORD:
                self._note(*frames.parse_record(content))
                continue
            self._add_data(frames.parse_stored(content))
            try:
                channel.send(frames.GO_ON)
            except (BrokenPipeError, ConnectionResetError):
                return  # the job was killed

    def _note(self, record: frames.Record, end: int) -> None:
        if record.file_index != self._last:
            self._last, self._begin = record.file_index, self._end
        self._end = end
        if record.stream == streams.RESTORE_OBJECT:
            self._add_object(record)
        elif record.stream == streams.UNIX_ATTRIBUTES:
            file = file_of(self._jobid, record)
            if "/" not in file.name:  # a directory whose savepkt.link is empty has no name at all
                self.errors.append(f"Path length is zero. File={file.name}")
            self.files.append(catalog.StoredFile(file, self._begin, end))
        elif self.files and self.files[-1].file.file_index == record.file_index:
            self.files[-1] = self.files[-1]._replace(end=end)

    def _add_data(self, stored: frames.Stored) -> None:
        """Of the file whose attributes came last."""
        file, begin, _ = self.files[-1]
        file = replace(file, stored=file.stored + stored.size)
        self.files[-1] = catalog.StoredFile(file, begin, stored.end)
        self._end = stored.end
        self._on_stored(stored.size)

    def _add_object(self, record: frames.Record) -> None:
        header, data = frames.parse_json(record.data)
        try:
            found = restore_objects.pack(self._jobid, header, data)
        except restore_objects.MalformedMessage as error:
            self.errors.append(f"Malformed message: {error}")
            found = restore_objects.malformed(self._jobid, header)
        except restore_objects.DirectorCrash as error:
            self.crash = str(error)
            return
        self._catalog.add_object(found)


class EstimateSpool:
    """Takes the listing of an estimate."""

    def __init__(self) -> None:
        self.files: list[result.CatalogFile] = []

    def serve(self, channel: frames.Channel) -> None:
        while (frame := channel.receive()) is not None:
            record, _ = frames.parse_record(frame[1])
            self.files.append(file_of(0, record))


class RestoreFeed:
    """Sends the places of the records of some files, in that order."""

    def __init__(
        self, files: Sequence[catalog.StoredFile], volume_path: Callable[[int], Path]
    ) -> None:
        self._files = files
        self._volume_path = volume_path

    def serve(self, channel: frames.Channel) -> None:
        try:
            for stored in self._files:
                path = str(self._volume_path(stored.file.jobid))
                where = {"path": path, "begin": stored.begin, "end": stored.end}
                channel.send_json(frames.READ, where)
            channel.finish()
        except (BrokenPipeError, ConnectionResetError):
            return  # the job has ended early


def file_of(jobid: int, record: frames.Record) -> result.CatalogFile:
    """The file that a record of attributes describes, with nothing stored of it yet."""
    attributes, _ = frames.parse_json(record.data)
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
