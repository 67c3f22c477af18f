# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Bareos: a full job in a real Bareos, with TLS and without, against its bpipe plugin."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Union

from tests.bareos import installation
from tests.bareos.bareos import Bareos
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Skipped, peak, wall
from tests.bench.meter import Meter, Run
from tests.bench.site import BenchSite

VM = "big"
_POOL = """Pool {
  Name = bench
  Pool Type = Backup
  Maximum Volume Jobs = 1
  Label Format = "bench-"
}
"""
_SCRIPT = """  Run Script {{
    Runs When = {when}
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


def run(bench: Bench) -> Iterator[Union[Figure, Skipped]]:
    """The plugin has to read and pack the disk; bpipe gets `cat` of the bytes stored before."""
    try:
        found = installation.find()
    except installation.NotInstalled as missing:
        yield Skipped("bareos", "a full job", str(missing))
        return
    image, segment = bench.warm_mix(bench.size), bench.segment(bench.size)
    site = BenchSite(bench.folder("bareos"))
    try:
        site.fill(site.create(VM, [bench.size]), image)
        for tls in (False, True):
            with bench.memory_folder("volumes") as volumes:
                daemons = Daemons(found, site, segment, volumes, tls)
                try:
                    yield from _compared(bench, daemons, "on" if tls else "off")
                finally:
                    daemons.close()
    finally:
        site.close()


def _compared(bench: Bench, daemons: Daemons, tls: str) -> Iterator[Figure]:
    subjects = {
        f"plugin, TLS {tls}": partial(daemons.job, f"backup-vm-{VM}"),
        f"bpipe, TLS {tls}": partial(daemons.job, "bpipe"),
    }
    ours, theirs = bench.compare("bareos", subjects).values()
    note = f"{wall(ours):.1f} s against {wall(theirs):.1f} s; {ours[0].more['encryption']}"
    yield Figure(
        "bareos", f"time, TLS {tls}", wall(ours) / wall(theirs), "bpipe with cat", 1.05,
        at_most=True, note=note,
    )  # fmt: skip
    above = peak(ours, "bareos-fd") - daemons.idle_memory / (1 << 20)
    yield Figure(
        "bareos", f"memory of bareos-fd, TLS {tls}", above, "before its first job", 60,
        at_most=True, unit="MiB",
    )  # fmt: skip


class Daemons:
    """A Bareos with both jobs. Volumes are on the tmpfs, one for each job, removed after it."""

    def __init__(
        self,
        found: installation.Installation,
        site: BenchSite,
        segment: Path,
        volumes: Path,
        tls: bool,
    ) -> None:
        self._volumes = volumes
        self._root = Path(tempfile.mkdtemp(prefix="vmsnap-bareos-", dir="/tmp"))
        self._root.chmod(0o755)
        try:
            self._bareos = Bareos(found, self._root, site.lab)
            self._configure(found, segment, tls)
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
        self._bareos.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def job(self, name: str) -> Run:
        """Run a job. Its time is the Director's, between the scripts before and after it."""
        with Meter(self._pids, own=True) as run:
            jobid = self._bareos.start_job(f"run job={name} level=Full yes")
            job = self._bareos.wait(jobid, timeout=600)
        if job.status != "T":
            raise RuntimeError(f"job {name} ended with {job.status}: {job.log[-2000:]}")
        before, after = ((self._root / f"{name}.{when}").stat() for when in ("Before", "After"))
        run.wall = after.st_mtime - before.st_mtime
        encryption = re.search(r"Encryption: +(.*)", job.log)
        run.more = {"bytes": job.bytes, "encryption": encryption[1] if encryption else "?"}
        for volume in self._volumes.iterdir():
            volume.unlink()
        return run

    def _configure(self, found: installation.Installation, segment: Path, tls: bool) -> None:
        configuration, etc = self._bareos.configuration, self._bareos.configuration.etc
        shutil.copy(found.plugins / "bpipe-fd.so", self._root / "plugins")
        myself = etc / "bareos-fd.d/client/myself.conf"
        myself.write_text(
            re.sub(r"Plugin Names = .*", 'Plugin Names = "python3:bpipe"', myself.read_text())
        )
        (self._root / "volumes").rmdir()
        (self._root / "volumes").symlink_to(self._volumes)
        configuration.add("pool", "bench", _POOL)
        configuration.add_vm(VM, job=self._job_lines(f"backup-vm-{VM}"))
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
        for name in () if tls else _NO_TLS_IN:
            head, brace, tail = (etc / name).read_text().rpartition("}")
            (etc / name).write_text(f"{head}  TLS Enable = no\n{brace}{tail}")

    def _job_lines(self, name: str) -> str:
        scripts = (
            _SCRIPT.format(when=when, path=self._root / f"{name}.{when}")
            for when in ("Before", "After")
        )
        return "  Pool = bench\n  Full Backup Pool = bench\n" + "".join(scripts)


def _resident(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096
