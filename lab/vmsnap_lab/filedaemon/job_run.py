# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One run of a job: its log, its process, its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Callable, Optional

from vmsnap_lab.filedaemon import cancel, catalog, frames, job_process, result

OnMessage = Callable[[result.Message], None]

_ENDS = {
    "T": "{} OK",
    "W": "{} OK -- with warnings",
    "A": "{} Canceled",
    "E": "*** {} Error ***",
    "f": "*** {} Error ***",
}
_KINDS = {"B": "Backup", "R": "Restore", "E": "Estimate"}


class JobRun:
    """Collects a job's messages and finds its final status as the Director does.

    Arguments:
        python: the interpreter of the job's process.
        environment: variables in addition to this process' own.
    """

    def __init__(
        self,
        job: result.CatalogJob,
        log: catalog.Catalog,
        *,
        python: str,
        environment: Optional[Mapping[str, str]],
        on_message: Optional[OnMessage],
        canceling: Optional[cancel.Cancel],
    ) -> None:
        self.job = job
        self.canceling = canceling or cancel.Cancel()
        self._catalog = log
        self._python = python
        self._environment = {**os.environ, **(environment or {})}
        self._listener = on_message
        self._messages: list[result.Message] = []

    def log(self, type: str, text: str, origin: str = "director") -> None:
        """Add a message to the job log."""
        self._on_message(result.Message(type, text, origin))

    def _on_message(self, message: result.Message) -> None:
        message = message._replace(text=message.text.rstrip("\n"))
        self._messages.append(message)
        if self._listener is not None:
            self._listener(message)

    def serve(
        self, orders: job_process.SentOrders, storage: Callable[[frames.Channel], None]
    ) -> job_process.Outcome:
        """Run the job's process to its end. Raises job_process.LoopbackError."""
        running = job_process.JobProcess(
            serve_storage=storage,
            on_message=self._on_message,
            python=self._python,
            environment=self._environment,
            canceling=self.canceling,
        )
        return running.run(orders)

    def status(self, outcome: job_process.Outcome) -> str:
        """The Director's cancel stands; a file daemon that died has failed the job."""
        if outcome.canceled:
            return "A"
        if outcome.status is None:
            self.log("M_FATAL", "Network error with FD: it went away without a job status")
            return "f"
        return outcome.status

    def finish(
        self,
        status: str,
        outcome: job_process.Outcome,
        files: list[result.CatalogFile],
    ) -> result.JobResult:
        """Enter the end of the job into the catalog, unless it is an estimate."""
        job = self.job
        text = _ENDS[status].format(_KINDS[job.type])
        self.log("M_ERROR" if status in "Ef" else "M_INFO", f"Termination: {text}")
        if job.jobid:
            self._catalog.end_job(job.jobid, status, outcome.files, outcome.bytes, outcome.errors)
            self._catalog.add_messages(job.jobid, self._messages)
        return result.JobResult(
            jobid=job.jobid,
            name=job.unique_name,
            level=job.level,
            status=status,
            errors=outcome.errors,
            bytes=outcome.bytes,
            messages=self._messages,
            files=files,
            trace=outcome.trace,
            crash=outcome.crash,
            hazards=outcome.hazards,
        )
