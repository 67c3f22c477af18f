# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The loopback file daemon: drives a Bareos Python plugin as bareos-fd does, without Bareos.

It plays Director, storage daemon and catalog as well, as far as a plugin notices them. Its
directory holds `catalog.sqlite`, `volumes/`, `working/` and the file daemon's configuration.

Deviations from Bareos 25.1, beyond those that the modules below name:
* The Director waits until the file daemon has finished, also after a cancel, and loses no message.
* The storage gets no data over a connection: the job's process writes and reads the volumes.
* The FileSet is compared by nobody: it is as if it had `Ignore FileSet Changes = yes`.
* After a VirtualFull, an Incremental builds on it, and so gets no restore objects; in Bareos chance
  decides between it and the newest of the jobs it was made of. `base` of backup() chooses.
* A Director that a too large restore object would kill takes only the job with it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, Union

from vmsnap_lab.filedaemon import archive, job_process, job_run, result, selection, storage_side
from vmsnap_lab.filedaemon import cancel as cancel_


class FileDaemon(archive.Archive):
    """One file daemon with its Director, storage and catalog.

    Arguments:
        directory: holds everything; made if it does not exist.
        plugin_path: the module_path of plugin strings that name none.
        python: the interpreter of the job processes, by default the running one.
        config_dir: what options files are relative to; by default a folder in `directory`.

    Attributes:
        clock_ahead: seconds that the clock of the next jobs' file daemon is ahead of the Director's
            (behind, if negative). A proxy without NTP, or one resumed from suspension, has such a
            clock, and two proxies that serve one VM have two clocks. As in Bareos, the time since
            which files count is corrected by the difference.
        host_name: what the next jobs take for the name of their host; empty: the real one.
    """

    def __init__(
        self,
        directory: Union[str, Path],
        *,
        plugin_path: Union[str, Path],
        python: Optional[str] = None,
        config_dir: Union[str, Path, None] = None,
    ) -> None:
        super().__init__(Path(directory).resolve())
        self._plugin_path = Path(plugin_path).resolve()
        self._python = python or sys.executable
        self.clock_ahead = 0
        self.host_name = ""
        config = self.directory / "etc" / "bareos-fd.d" if config_dir is None else config_dir
        self.config_dir = Path(config).resolve()
        self._working = self.directory / "working"
        for folder in (self._working, self.config_dir):
            folder.mkdir(parents=True, exist_ok=True)

    def backup(
        self,
        plugin: Union[str, Sequence[str]],
        *,
        name: str = "backup-vm",
        level: str = "Full",
        accurate: bool = False,
        sparse: bool = False,
        base: Optional[int] = None,
        on_message: Optional[job_run.OnMessage] = None,
        cancel: Optional[cancel_.Cancel] = None,
        environment: Optional[Mapping[str, str]] = None,
    ) -> result.JobResult:
        """Run a backup job to its end.

        Arguments:
            plugin: the FileSet's Plugin line, or several: `python3:module_name=...:name=value`.
            level: Full, Incremental or Differential; without a Full all become Full.
            sparse: the FileSet has `Sparse = yes`.
            base: the job to build on, instead of the Director's choice.
            on_message: called for each message of the job log, as it comes.
            environment: variables for the job's process, in addition to the caller's.
        """
        letter, previous = self._base_of(name, level, base)
        job = self._catalog.add_job(name, "B", letter)
        running = self._run(job, on_message, cancel, environment)
        running.log("M_INFO", f"Start Backup JobId {job.jobid}, Job={job.unique_name}")
        if letter != selection.level_letter(level):
            text = "No prior or suitable Full backup found in catalog. Doing FULL backup."
            running.log("M_INFO", text)
        orders = job_process.SentOrders(self._order(job, "backup", self._plugin_lines(plugin)))
        orders.job["sparse"] = sparse
        if previous is not None:
            orders.job.update(
                since=int(previous.start_time) + self.clock_ahead, previous_job=previous.unique_name
            )
            orders.objects = selection.object_order(self._catalog.objects(previous.jobid))
            if accurate:
                orders.files = self._accurate_files(name, letter, job)
        canceling = running.canceling
        orders.job.update(volume=str(self.volume_path(job.jobid)), watched=canceling.watches_data)
        spooling = storage_side.BackupSpool(job.jobid, self._catalog, canceling.on_stored)
        outcome = running.serve(orders, spooling.serve)
        return self._end_backup(running, outcome, spooling)

    def restore(
        self,
        jobs: Optional[Sequence[int]] = None,
        *,
        name: str = "backup-vm",
        where: str = "/",
        replace: str = "always",
        plugin_options: str = "",
        select: Optional[Callable[[str], bool]] = None,
        on_message: Optional[job_run.OnMessage] = None,
        cancel: Optional[cancel_.Cancel] = None,
        environment: Optional[Mapping[str, str]] = None,
    ) -> result.JobResult:
        """Run a restore job to its end.

        Arguments:
            jobs: the jobs to restore; without them the current state of backup job `name`, as
                bconsole's `select current`.
            where: the prefix of restored names; "/" for none.
            replace: always, ifnewer, ifolder or never.
            plugin_options: as bconsole's `pluginoptions=`: `python3:option=value:option=value`,
                without spaces; a backslash does not survive.
            select: called with each stored name; those it accepts are marked.

        Raises LookupError when there is nothing to restore, ValueError for options that bconsole
        would not take.
        """
        found = selection.restore_jobs(self._catalog.jobs(), name, jobs)
        files = selection.newest_versions([self._catalog.files(job.jobid) for job in found], select)
        if not files:
            raise LookupError("no files are selected to be restored")
        options = selection.console_options(plugin_options)
        job = self._catalog.add_job("RestoreFiles", "R", "F")
        running = self._run(job, on_message, cancel, environment)
        running.log("M_INFO", f"Start Restore Job {job.unique_name}")
        orders = job_process.SentOrders(self._order(job, "restore", []))
        orders.job.update(level=" ", where=where, plugin_options=options)
        orders.job["replace"] = selection.replace_letter(replace)
        orders.objects = selection.object_order(
            [each for source in found for each in self._catalog.objects(source.jobid)]
        )
        outcome = running.serve(orders, storage_side.RestoreFeed(files, self.volume_path).serve)
        status = running.status(outcome)
        if outcome.files != len(files):
            text = f"File count mismatch: expected={len(files)} , restored={outcome.files}"
            running.log("M_WARNING", text)
            status = "W" if status == "T" else status
        return running.finish(status, outcome, [stored.file for stored in files])

    def estimate(
        self,
        plugin: Union[str, Sequence[str]],
        *,
        name: str = "backup-vm",
        level: str = "Full",
        on_message: Optional[job_run.OnMessage] = None,
        environment: Optional[Mapping[str, str]] = None,
    ) -> result.JobResult:
        """Run bconsole's `estimate listing`: job id 0, no catalog entry; `files` is the listing.

        As there is no job, messages have no effect: the status is T unless the file daemon dies.
        """
        letter, previous = self._base_of(name, level, None)
        now = time.time()
        unique = time.strftime("-Console-.%Y-%m-%d_%H.%M.%S_00", time.localtime(now))
        job = result.CatalogJob(0, name, unique, "E", letter, "R", now, 0, 0, 0)
        running = self._run(job, on_message, None, environment)
        orders = job_process.SentOrders(self._order(job, "estimate", self._plugin_lines(plugin)))
        if previous is not None:
            orders.job.update(
                since=int(previous.start_time) + self.clock_ahead, previous_job=previous.unique_name
            )
        listing = storage_side.EstimateSpool()
        outcome = running.serve(orders, listing.serve)
        status = running.status(outcome)
        return running.finish("T" if status == "R" else status, outcome, listing.files)

    def _base_of(
        self, name: str, level: str, base: Optional[int]
    ) -> tuple[str, Optional[result.CatalogJob]]:
        """The level that a job of that name really gets, and the job it builds on."""
        letter = selection.level_letter(level)
        if letter != "F" and base is not None:
            return letter, self._catalog.job(base)
        previous = selection.base_job(self._catalog.jobs(), name, letter)
        return ("F" if previous is None else letter), previous

    def _accurate_files(
        self, name: str, level: str, job: result.CatalogJob
    ) -> dict[str, dict[str, int]]:
        """Name and stat of each file of the jobs that job builds on."""
        jobs = [found for found in self._catalog.jobs() if found.jobid != job.jobid]
        chain = selection.current_jobs(jobs, name)
        if level == "D":
            chain = chain[:1]
        files = selection.newest_versions([self._catalog.files(job.jobid) for job in chain])
        return {stored.file.name: stored.file.stat for stored in files}

    def _end_backup(
        self,
        running: job_run.JobRun,
        outcome: job_process.Outcome,
        spooling: storage_side.BackupSpool,
    ) -> result.JobResult:
        for text in spooling.errors:
            running.log("M_ERROR", text)
            outcome.errors += 1
        status = running.status(outcome)
        if spooling.crash is not None:
            outcome.crash = f"the Director died: {spooling.crash}"
            status = "f"
        if status == "T" and outcome.errors:
            status = "W"
        jobid = running.job.jobid
        files = spooling.files if status in "TW" else []  # a failed job leaves no files
        self._catalog.add_files(files)
        if status == "f" and outcome.status is not None:
            self._catalog.drop_objects(jobid)
        return running.finish(status, outcome, [stored.file for stored in files])

    def _run(
        self,
        job: result.CatalogJob,
        on_message: Optional[job_run.OnMessage],
        canceling: Optional[cancel_.Cancel],
        environment: Optional[Mapping[str, str]],
    ) -> job_run.JobRun:
        return job_run.JobRun(
            job,
            self._catalog,
            python=self._python,
            environment=environment,
            on_message=on_message,
            canceling=canceling,
        )

    def _order(self, job: result.CatalogJob, kind: str, plugins: list[str]) -> dict[str, Any]:
        return {
            "job_id": job.jobid,
            "job_name": job.unique_name,
            "kind": kind,
            "level": job.level,
            "plugins": plugins,
            "working_directory": str(self._working),
            "used_config": f"{self.config_dir}/*/*.conf",
            "clock_ahead": self.clock_ahead,
            "host_name": self.host_name,
        }

    def _plugin_lines(self, plugin: Union[str, Sequence[str]]) -> list[str]:
        lines = [plugin] if isinstance(plugin, str) else list(plugin)
        return [self._with_module_path(line) for line in lines]

    def _with_module_path(self, line: str) -> str:
        if ":module_path=" in line:
            return line
        head, colon, rest = line.partition(":")
        return f"{head}:module_path={self._plugin_path}{colon}{rest}"
