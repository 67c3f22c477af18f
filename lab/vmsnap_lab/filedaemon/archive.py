# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What finished jobs left: the catalog and the volumes in a directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from vmsnap_lab.filedaemon import catalog, reader, result, selection, streams, volume


class Archive:
    """Looks jobs and files up, and makes jobs out of jobs. Unknown jobs and names: LookupError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._volumes = directory / "volumes"
        self._volumes.mkdir(parents=True, exist_ok=True)
        self._catalog = catalog.Catalog(directory / "catalog.sqlite")

    def jobs(self) -> list[result.CatalogJob]:
        """All jobs, oldest first."""
        return self._catalog.jobs()

    def job(self, jobid: int) -> result.CatalogJob:
        return self._catalog.job(jobid)

    def joblog(self, jobid: int) -> list[result.Message]:
        return self._catalog.messages(jobid)

    def files(self, jobid: int) -> list[result.CatalogFile]:
        """The files of a job in the order of the backup.

        A file that an Accurate job found gone has file index 0 and type FT_DELETED.
        """
        return [stored.file for stored in self._catalog.files(jobid)]

    def restore_objects(self, jobid: int) -> list[result.CatalogObject]:
        return self._catalog.objects(jobid)

    def replace_object(self, jobid: int, position: int, data: bytes) -> None:
        """Put other content into a job's restore object, as a damaged catalog has it.

        `position` counts from 0, in the order of the backup.
        """
        found = self._catalog.objects(jobid)
        changed = replace(found[position], length=len(data), compression=0, stored=data)
        found[position] = changed
        self._catalog.drop_objects(jobid)
        for each in found:
            self._catalog.add_object(each)

    @contextmanager
    def without_objects(self, jobid: int) -> Iterator[None]:
        """Meanwhile the job has no restore objects, as in a catalog made anew from volumes."""
        found = self._catalog.objects(jobid)
        self._catalog.drop_objects(jobid)
        try:
            yield
        finally:
            for each in found:
                self._catalog.add_object(each)

    @contextmanager
    def replaced_file(self, jobid: int, name: str, data: bytes) -> Iterator[None]:
        """Meanwhile the job holds other data, of any length, under that name."""
        stored = self._stored(jobid, name)
        path = self.volume_path(jobid)
        records = [
            (found.record.stream, bytes(found.record.data))
            for found in volume.read(path, stored.begin, stored.end)
        ]
        ours = (streams.FILE_DATA, streams.SPARSE_DATA)
        first = next((n for n, (stream, _) in enumerate(records) if stream in ours), len(records))
        blocks = [data[at : at + streams.BLOCK] for at in range(0, len(data), streams.BLOCK)]
        with volume.Writer(path, going_on=True) as writer:
            begin = writer.position
            for stream, content in [
                *records[:first],
                *((streams.FILE_DATA, block) for block in blocks),
                *(each for each in records[first:] if each[0] not in ours),
            ]:
                writer.append(stored.file.file_index, stream, content)
            self._catalog.move_file(jobid, name, begin, writer.position)
        try:
            yield
        finally:
            self._catalog.move_file(jobid, name, stored.begin, stored.end)

    def volume_path(self, jobid: int) -> Path:
        """The file that holds what the job stored."""
        return self._volumes / f"job-{jobid:06}"

    def read_file(self, jobid: int, name: str) -> BinaryIO:
        """The content of a file as a stream."""
        return reader.open_file(self.volume_path(jobid), self._stored(jobid, name))

    def extents(self, jobid: int, name: str) -> list[volume.VolumeExtent]:
        """Where in the job's volume the data of a file are; for tests that damage them."""
        return reader.extents(self.volume_path(jobid), self._stored(jobid, name))

    def damaged(self, jobid: int) -> list[str]:
        """Names of the files whose stored records are not what was stored."""
        path = self.volume_path(jobid)
        return [
            stored.file.name
            for stored in self._catalog.files(jobid)
            if any(found.damaged for found in volume.read(path, stored.begin, stored.end))
        ]

    def virtual_full(self, jobids: Sequence[int], *, purge: bool = False) -> result.CatalogJob:
        """One job out of several of the same name, as VirtualFull and Consolidate make it.

        It holds the newest version of each name, has the level of the first of the jobs and the
        start time of the last, and no restore objects. `purge`: forget the jobs it was made of.
        """
        jobs = sorted(map(self.job, jobids), key=lambda job: (job.start_time, job.jobid))
        files = selection.newest_versions([self._catalog.files(job.jobid) for job in jobs])
        made = self._catalog.add_job(jobs[0].name, "B", jobs[0].level, jobs[-1].start_time)
        self._gather(files, made)
        if purge:
            for job in jobs:
                self._catalog.purge_job(job.jobid)
        return self.job(made.jobid)

    def copy_job(self, jobid: int) -> result.CatalogJob:
        """A Copy of a job, its restore objects included. Nothing builds on a copy."""
        job = self.job(jobid)
        made = self._catalog.add_job(job.name, "C", job.level, job.start_time)
        self._gather(self._catalog.files(jobid), made)
        for found in self._catalog.objects(jobid):
            self._catalog.add_object(replace(found, jobid=made.jobid))
        return self.job(made.jobid)

    def purge_job(self, jobid: int) -> None:
        """Forget a job with its files, objects and log; its volume stays."""
        self._catalog.purge_job(jobid)

    def _stored(self, jobid: int, name: str) -> catalog.StoredFile:
        for stored in reversed(self._catalog.files(jobid)):
            if stored.file.name == name:
                return stored
        raise LookupError(f"job {jobid} has no file {name!r}")

    def _gather(self, files: Sequence[catalog.StoredFile], made: result.CatalogJob) -> None:
        """Copy records as they are: stored bytes that were damaged stay recognizable as damaged."""
        gathered = []
        with volume.Writer(self.volume_path(made.jobid)) as writer:
            for number, stored in enumerate(files, start=1):
                begin = writer.position
                path = self.volume_path(stored.file.jobid)
                for found in volume.read(path, stored.begin, stored.end):
                    writer.append_stored(number, found)
                file = replace(stored.file, jobid=made.jobid, file_index=number)
                gathered.append(catalog.StoredFile(file, begin, writer.position))
        self._catalog.add_files(gathered)
        size = sum(stored.file.stored for stored in gathered)
        self._catalog.end_job(made.jobid, "T", len(gathered), size, 0)
