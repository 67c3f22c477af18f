# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A running Bareos: Director, storage daemon, file daemon and catalog, all on the loopback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pyVim
import pyVmomi

from vmsnap_lab.lab import Lab

from . import daemons, shipped
from .configuration import CLIENT, Configuration
from .database import Database
from .installation import Installation

RECORDER = Path(__file__).parent / "bareos-fd-vmsnap-recorded.py"
_JOB_SECONDS = 120
_UNENDED = (
    "C",
    "R",
    "B",
    "F",
    "S",
    "m",
    "M",
    "s",
    "j",
    "c",
    "d",
    "t",
    "p",
    "i",
    "a",
    "l",
    "L",
    "q",
)


@dataclass(frozen=True)
class Job:
    """A job of the catalog that has ended. `status`: T, W, E, f, A; `bytes`: of the files."""

    jobid: int
    unique_name: str
    level: str
    status: str
    files: int
    bytes: int
    log: str


class Bareos:
    """`root` is a directory anybody may enter, with a short path.

    Every process of a job of the file daemon carries `mark` in its environment. Jobs whose FileSet
    names the recorder (bareos-fd-vmsnap-recorded) write their calls to `trace`.
    """

    def __init__(self, installation: Installation, root: Path, lab: Lab) -> None:
        self.root = root
        self.lab = lab
        self.mark = uuid.uuid4().hex
        self._installation = installation
        self.configuration = Configuration(
            root, transport=os.environ.get("VMSNAP_TRANSPORT", "nbd")
        )
        self.database = Database(installation, root / "pg")
        self.configuration.write(self.database.resource(), lab)
        self.temporary = root / "tmp"
        self.temporary.mkdir()
        self.trace = root / "trace.jsonl"
        self._install_plugin(root / "plugins")
        ports = self.configuration
        self.storage = self._daemon("bareos-sd", installation.storage, ports.storage_port)
        self.file = self._daemon("bareos-fd", installation.file, ports.file_port)
        self.director = self._daemon("bareos-dir", installation.director, ports.director_port)

    def start(self) -> None:
        for daemon in (self.storage, self.file, self.director):
            daemon.start()
        self.console("disable schedule=vmsnap yes")  # jobs of ours only

    def stop(self) -> None:
        for daemon in (self.director, self.file, self.storage):
            daemon.stop()
        self.database.stop()

    def another_file_daemon(self, name: str) -> daemons.Daemon:
        """A second file daemon, known to the Director by that name; not started yet."""
        (port,) = daemons.free_ports(1)
        etc = self.configuration.add_client(name, port)
        return self._daemon("bareos-fd", self._installation.file, port, etc)

    def test_configuration(self) -> dict[str, str]:
        """What each daemon complains of when it only reads its configuration."""
        programs = (
            self._installation.director,
            self._installation.storage,
            self._installation.file,
        )
        return {program.name: self._complaints(program) for program in programs}

    # The console

    def console(self, *commands: str, timeout: float = _JOB_SECONDS) -> str:
        """Let bconsole run these commands, one after the other; return what it printed."""
        done = subprocess.run(
            [str(self._installation.console), "-c", str(self.configuration.etc / "bconsole.conf")],
            input="".join(f"{command}\n" for command in (*commands, "quit")),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**daemons.clean_environment(), "TERM": "dumb"},
            timeout=timeout,
        )
        return done.stdout

    def reload(self) -> None:
        """Let the Director read its configuration again. Raises RuntimeError."""
        output = self.console("reload")
        if "reloaded" not in output:
            raise RuntimeError(output)
        self.console("disable schedule=vmsnap yes")

    def start_job(self, *commands: str) -> int:
        """Run commands of which the last one starts a job; return its id. Raises RuntimeError."""
        output = self.console(*commands)
        found = re.findall(r"Job queued\. JobId=(\d+)", output)
        if not found:
            raise RuntimeError(f"no job was started:\n{output}{self.console('messages')}")
        return int(found[-1])

    def wait(self, jobid: int, timeout: float = _JOB_SECONDS) -> Job:
        """Wait until the job has ended for the Director. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while (job := self.job(jobid)).status in _UNENDED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {jobid} does not end:\n{job.log}")
            time.sleep(0.2)
        self.console(f"wait jobid={jobid} timeout=10")
        return self.job(jobid)

    def job(self, jobid: int) -> Job:
        """The job as the catalog knows it now."""
        columns = "job, level, jobstatus, jobfiles, jobbytes"
        ((name, level, status, files, size),) = self.database.query(
            f"SELECT {columns} FROM job WHERE jobid = {jobid}"
        )
        lines = self.database.query(f"SELECT logtext FROM log WHERE jobid = {jobid} ORDER BY logid")
        log = "".join("\t".join(line) for line in lines)
        return Job(jobid, name, level, status, int(files), int(size), log)

    def backup(self, vm: str = "web1", level: str = "Full", more: str = "") -> Job:
        """Run the backup job of a VM to its end."""
        command = f"run job=backup-vm-{vm} level={level} {more} yes"
        return self.wait(self.start_job(command))

    def restore(
        self,
        vm: str = "web1",
        *,
        jobs: Optional[list[int]] = None,
        options: str = "",
        more: str = "",
    ) -> Job:
        """Restore the newest state of a VM, or what these jobs hold; `options`: pluginoptions."""
        return self.wait(self.start_restore(vm, jobs=jobs, options=options, more=more))

    def start_restore(
        self,
        vm: str = "web1",
        *,
        jobs: Optional[list[int]] = None,
        options: str = "",
        more: str = "",
    ) -> int:
        """Start what restore() waits for; return its job id."""
        at_restore = f"pluginoptions=python3:{options} " if options else ""
        if jobs is None:
            selection = f"fileset=vmsnap-{vm} {at_restore}{more} select current all done yes"
        else:
            ids = ",".join(map(str, jobs))
            selection = f"jobid={ids} {at_restore}{more} all done yes"
        return self.start_job(f"restore client={CLIENT} where=/ {selection}")

    def _install_plugin(self, plugins: Path) -> None:
        """Bareos' own Python plugin, ours, and pyVmomi, as an admin would put them together."""
        plugins.mkdir()
        theirs = self._installation.plugins
        for path in (*theirs.glob("python3-fd.so"), *theirs.glob("BareosFd*.py")):
            shutil.copy(path, plugins)  # Bareos loads no shared object through a link
        links = [
            shipped.REPOSITORY / "bareos-fd-vmsnap.py",
            shipped.REPOSITORY / "bareos_vmsnap",
            RECORDER,
            Path(pyVmomi.__file__).parent,
            Path(pyVim.__file__).parent,
        ]
        for target in links:
            (plugins / target.name).symlink_to(target)

    def _daemon(
        self, name: str, program: Path, port: int, etc: Optional[Path] = None
    ) -> daemons.Daemon:
        environment = {
            "VMSNAP_SITE": self.mark,
            "TMPDIR": str(self.temporary),
            "VMSNAP_TRACE": str(self.trace),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return daemons.Daemon(
            name,
            [program, "-f", "-c", etc or self.configuration.etc],
            self.root / "log" / f"{name}.log",
            listens=port,
            environment=environment if name == "bareos-fd" else None,
        )

    def _complaints(self, program: Path) -> str:
        done = subprocess.run(
            [str(program), "-t", "-c", str(self.configuration.etc)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=daemons.clean_environment(),
        )
        return done.stdout if done.returncode == 0 else f"exit {done.returncode}: {done.stdout}"
