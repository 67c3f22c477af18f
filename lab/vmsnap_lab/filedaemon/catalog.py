# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The catalog: jobs, files, restore objects and job logs in one SQLite file.

Times are in seconds since the epoch with their fraction. Deviation: Bareos compares jobs by whole
seconds; here jobs of the same second keep their order.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Optional

from vmsnap_lab.filedaemon import result

_SCHEMA = """
CREATE TABLE IF NOT EXISTS Job (
    JobId INTEGER PRIMARY KEY AUTOINCREMENT, Job TEXT NOT NULL, Name TEXT NOT NULL,
    Type TEXT NOT NULL, Level TEXT NOT NULL, JobStatus TEXT NOT NULL, StartTime REAL NOT NULL,
    JobFiles INTEGER NOT NULL DEFAULT 0, JobBytes INTEGER NOT NULL DEFAULT 0,
    JobErrors INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS File (
    JobId INTEGER NOT NULL, FileIndex INTEGER NOT NULL, Name TEXT NOT NULL, Type INTEGER NOT NULL,
    Link TEXT NOT NULL, Stat TEXT NOT NULL, Stored INTEGER NOT NULL,
    VolumeBegin INTEGER NOT NULL, VolumeEnd INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS FileOfJob ON File (JobId, FileIndex);
CREATE TABLE IF NOT EXISTS RestoreObject (
    JobId INTEGER NOT NULL, ObjectName TEXT NOT NULL, ObjectType INTEGER NOT NULL,
    ObjectIndex INTEGER NOT NULL, PluginName TEXT NOT NULL, ObjectFullLength INTEGER NOT NULL,
    ObjectCompression INTEGER NOT NULL, RestoreObject BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS Log (
    JobId INTEGER NOT NULL, Type TEXT NOT NULL, Text TEXT NOT NULL, Origin TEXT NOT NULL
);
"""
_JOB = "SELECT JobId, Name, Job, Type, Level, JobStatus, StartTime, JobFiles, JobBytes, JobErrors FROM Job "
_FILE = "SELECT JobId, FileIndex, Name, Type, Link, Stat, Stored, VolumeBegin, VolumeEnd FROM File "
_OBJECT = (
    "SELECT JobId, ObjectName, ObjectType, ObjectIndex, PluginName, ObjectFullLength,"
    " ObjectCompression, RestoreObject FROM RestoreObject "
)
_LOG = "SELECT Type, Text, Origin FROM Log "
DELETED = 0  # file index of a file that was gone


class StoredFile(NamedTuple):
    """A file and where its records are on the volume of its job."""

    file: result.CatalogFile
    begin: int
    end: int


class Catalog:
    """Safe for several threads and processes: each operation has its own connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._transaction() as connection:
            connection.executescript(_SCHEMA)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=60)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # a lab need not survive a power cut
            with connection:
                yield connection
        finally:
            connection.close()

    def add_job(
        self, name: str, type: str, level: str, start_time: Optional[float] = None
    ) -> result.CatalogJob:
        """A new running job; its unique name is made of name, time and number as Bareos does."""
        started = time.time() if start_time is None else start_time
        with self._transaction() as connection:
            row = (name, name, type, level, "R", started)
            cursor = connection.execute(
                "INSERT INTO Job (Job, Name, Type, Level, JobStatus, StartTime) VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            jobid = cursor.lastrowid
            assert jobid is not None
            stamp = time.strftime("%Y-%m-%d_%H.%M.%S", time.localtime(started))
            unique = f"{name}.{stamp}_{jobid % 100:02}"
            connection.execute("UPDATE Job SET Job = ? WHERE JobId = ?", (unique, jobid))
        return self.job(jobid)

    def end_job(self, jobid: int, status: str, files: int, size: int, errors: int) -> None:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE Job SET JobStatus = ?, JobFiles = ?, JobBytes = ?, JobErrors = ? WHERE JobId = ?",
                (status, files, size, errors, jobid),
            )

    def job(self, jobid: int) -> result.CatalogJob:
        """Raises LookupError."""
        for job in self._jobs("WHERE JobId = ?", (jobid,)):
            return job
        raise LookupError(f"there is no job {jobid}")

    def jobs(self) -> list[result.CatalogJob]:
        """All jobs, oldest first."""
        return self._jobs("ORDER BY StartTime, JobId", ())

    def _jobs(self, condition: str, values: Sequence[object]) -> list[result.CatalogJob]:
        with self._transaction() as connection:
            return [result.CatalogJob(*row) for row in connection.execute(_JOB + condition, values)]

    def purge_job(self, jobid: int) -> None:
        """Forget a job with its files, objects and log; its volume stays."""
        with self._transaction() as connection:
            for table in ("Job", "File", "RestoreObject", "Log"):
                connection.execute(f"DELETE FROM {table} WHERE JobId = ?", (jobid,))

    def add_files(self, files: Sequence[StoredFile]) -> None:
        rows = [
            (
                stored.file.jobid,
                stored.file.file_index,
                stored.file.name,
                stored.file.type,
                stored.file.link,
                json.dumps(stored.file.stat),
                stored.file.stored,
                stored.begin,
                stored.end,
            )
            for stored in files
        ]
        with self._transaction() as connection:
            connection.executemany("INSERT INTO File VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def files(self, jobid: int) -> list[StoredFile]:
        """In the order of the backup, deleted files (file index 0) included."""
        with self._transaction() as connection:
            rows = connection.execute(_FILE + "WHERE JobId = ? ORDER BY rowid", (jobid,))
            return [_stored_file(row) for row in rows]

    def move_file(self, jobid: int, name: str, begin: int, end: int) -> None:
        """The file's records are at another place of the job's volume."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE File SET VolumeBegin = ?, VolumeEnd = ? WHERE JobId = ? AND Name = ?",
                (begin, end, jobid, name),
            )

    def add_object(self, found: result.CatalogObject) -> None:
        with self._transaction() as connection:
            row = (
                found.jobid,
                found.name,
                found.type,
                found.index,
                found.plugin,
                found.length,
                found.compression,
                found.stored,
            )
            connection.execute("INSERT INTO RestoreObject VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def objects(self, jobid: int) -> list[result.CatalogObject]:
        """In the order of the backup."""
        with self._transaction() as connection:
            rows = connection.execute(_OBJECT + "WHERE JobId = ? ORDER BY rowid", (jobid,))
            return [result.CatalogObject(*row) for row in rows]

    def drop_objects(self, jobid: int) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM RestoreObject WHERE JobId = ?", (jobid,))

    def add_messages(self, jobid: int, messages: Sequence[result.Message]) -> None:
        rows = [(jobid, *message) for message in messages]
        with self._transaction() as connection:
            connection.executemany("INSERT INTO Log VALUES (?, ?, ?, ?)", rows)

    def messages(self, jobid: int) -> list[result.Message]:
        with self._transaction() as connection:
            rows = connection.execute(_LOG + "WHERE JobId = ? ORDER BY rowid", (jobid,))
            return [result.Message(*row) for row in rows]


def _stored_file(row: Sequence[Any]) -> StoredFile:
    jobid, file_index, name, type, link, encoded, stored, begin, end = row
    stat = json.loads(encoded)
    file = result.CatalogFile(
        jobid=jobid,
        file_index=file_index,
        name=name,
        type=type,
        link=link,
        size=stat["st_size"],
        stored=stored,
        mtime=stat["st_mtime"],
        stat=stat,
    )
    return StoredFile(file, begin, end)
