# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""An installed Bareos, started to measure jobs in it."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from tests.bareos import installation
from tests.bareos.bareos import Bareos
from tests.bench.meter import Meter, Run
from vmsnap_lab.lab import Lab

_POOL = """Pool {
  Name = bench
  Pool Type = Backup
  Maximum Volume Jobs = 1
  Label Format = "bench-"
}
"""
_JOB_SECONDS, _LAST_SECONDS = 600, 20
_LOOK = 0.05  # seconds between two looks for a job's end
_SCRIPT = """  Run Script {{
    Runs When = {when}
    Runs On Failure = yes
    Runs On Client = no
    Command = "/usr/bin/touch {path}"
  }}
"""
# Between Director, file daemon and storage daemon; on both sides of each connection.
_NO_TLS_IN = (
    "bareos-dir.d/client/vmware-proxy.conf",
    "bareos-dir.d/storage/File.conf",
    "bareos-fd.d/client/myself.conf",
    "bareos-fd.d/director/bareos-dir.conf",
    "bareos-sd.d/storage/bareos-sd.conf",
    "bareos-sd.d/director/bareos-dir.conf",
)


class Daemons:
    """A Bareos with a job for each VM, backup-vm-<name>, and one for bpipe.

    Volumes are below `volumes`, one for each job, removed after it.
    """

    def __init__(
        self,
        found: installation.Installation,
        lab: Lab,
        vms: Sequence[str],
        *,
        volumes: Path,
        tls: bool = True,
        piped: Optional[Path] = None,
    ) -> None:
        """`piped`: what bpipe shall `cat`."""
        self._volumes = volumes
        self._root = Path(tempfile.mkdtemp(prefix="vmsnap-bareos-", dir="/tmp"))
        self._root.chmod(0o755)
        try:
            self._bareos = Bareos(found, self._root, lab)
            self._configure(found, vms, tls)
            if piped:
                self._add_bpipe(found, piped)
            self._bareos.start()
        except BaseException:
            shutil.rmtree(self._root, ignore_errors=True)
            raise
        self._pids = [
            daemon.pid
            for daemon in (self._bareos.file, self._bareos.storage, self._bareos.director)
        ]
        self.idle_memory = _resident(self._bareos.file.pid)

    def close(self) -> None:
        """Stop the daemons and remove their files."""
        for daemon in (self._bareos.director, self._bareos.file, self._bareos.storage):
            daemon.end_by(signal.SIGKILL)  # in order they take seconds, and nothing is kept
        self._bareos.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def job(self, name: str) -> Run:
        """Run a job. Its time is the Director's, between the scripts before and after it."""
        marks = [self._root / f"{name}.{when}" for when in ("Before", "After")]
        for mark in marks:
            mark.unlink(missing_ok=True)
        with Meter(self._pids, own=True) as run:
            jobid = self._bareos.start_job(f"run job={name} level=Full yes")
            # Asking the catalog all the time would take the processor from what is measured.
            deadline = time.monotonic() + _JOB_SECONDS
            while not marks[1].exists() and time.monotonic() < deadline:
                time.sleep(_LOOK)
        job = self._bareos.wait(jobid, timeout=_LAST_SECONDS)
        if job.status != "T":
            raise RuntimeError(f"job {name} ended with {job.status}: {job.log[-2000:]}")
        before, after = (mark.stat().st_mtime for mark in marks)
        run.wall = after - before
        encryption = re.search(r"Encryption: +(.*)", job.log)
        run.more = {"bytes": job.bytes, "encryption": encryption[1] if encryption else "?"}
        for volume in self._volumes.iterdir():
            volume.unlink()
        return run

    def _configure(self, found: installation.Installation, vms: Sequence[str], tls: bool) -> None:
        configuration, etc = self._bareos.configuration, self._bareos.configuration.etc
        myself = etc / "bareos-fd.d/client/myself.conf"
        myself.write_text(
            re.sub(r"Plugin Names = .*", 'Plugin Names = "python3:bpipe"', myself.read_text())
        )
        (self._root / "volumes").rmdir()
        (self._root / "volumes").symlink_to(self._volumes)
        configuration.add("pool", "bench", _POOL)
        for vm in vms:
            configuration.add_vm(vm, job=self._job_lines(f"backup-vm-{vm}"))
        for name in () if tls else _NO_TLS_IN:
            head, brace, tail = (etc / name).read_text().rpartition("}")
            (etc / name).write_text(f"{head}  TLS Enable = no\n{brace}{tail}")

    def _add_bpipe(self, found: installation.Installation, segment: Path) -> None:
        configuration = self._bareos.configuration
        shutil.copy(found.plugins / "bpipe-fd.so", self._root / "plugins")
        plugin = f"bpipe:file=/@bench/segment:reader=cat {segment}:writer=cat"
        fileset = f"""FileSet {{
  Name = "bpipe"
  Include {{
    Options {{
      Signature = XXH128
    }}
    Plugin = "{plugin}"
  }}
}}
"""
        configuration.add("fileset", "bpipe", fileset)
        lines = self._job_lines("bpipe")
        job = f'Job {{\n  Name = "bpipe"\n  JobDefs = "vmsnap"\n  FileSet = "bpipe"\n{lines}}}\n'
        configuration.add("job", "bpipe", job)

    def _job_lines(self, name: str) -> str:
        scripts = (
            _SCRIPT.format(when=when, path=self._root / f"{name}.{when}")
            for when in ("Before", "After")
        )
        return "  Pool = bench\n  Full Backup Pool = bench\n" + "".join(scripts)


def _resident(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096
