# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Jobs made of other jobs: Copy, Migrate, VirtualFull, Always Incremental. Restores are whole."""

from __future__ import annotations

import pytest

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from .bareos import Bareos, Job
from .joblog import check_ok
from .proxy import Proxy, until

POOL = """Pool {
  Name = kept
  Pool Type = Backup
  Storage = File
  Volume Retention = 1 year
  Label Format = "kept-"
}
"""
MIGRATE = """Job {{
  Name = "migrate"
  Type = Migrate
  Selection Type = Job
  Selection Pattern = "backup-vm-{vm}"
  JobDefs = "vmsnap"
  FileSet = "vmsnap-{vm}"
  Next Pool = kept
}}
"""
NEXT = "  Next Pool = kept\n  Virtual Full Backup Pool = kept\n"


def chain(proxy: Proxy, job: str, jobs: int = 3) -> tuple[Machine, list[Job]]:
    """A VM with a Full and Incrementals, a snapshot before each."""
    proxy.bareos.configuration.add("pool", "kept", POOL)
    machine = proxy.create([MIB], job=job)
    made = []
    for number in range(jobs):
        machine.scribble(number)
        machine.snapshot(f"S{number}")
        machine.scribble(f"and {number}")
        made.append(proxy.bareos.backup(machine.name, "Incremental"))
        check_ok(made[-1])
    return machine, made


def check_restore(proxy: Proxy, machine: Machine, jobs: list[int]) -> Job:
    """What these jobs hold is the VM as it is."""
    name, before = machine.name, machine.portrait()
    machine.destroy()
    restored = proxy.bareos.restore(name, jobs=jobs)
    check_ok(restored)
    assert proxy.find(name).portrait() == before
    return restored


def objects(bareos: Bareos, jobid: int) -> int:
    ((count,),) = bareos.database.query(f"SELECT count(*) FROM restoreobject WHERE jobid = {jobid}")
    return int(count)


def test_copies(proxy: Proxy) -> None:
    bareos = proxy.bareos
    machine, jobs = chain(proxy, NEXT, 2)
    bareos.configuration.add(
        "job",
        "copy",
        'Job {\n  Name = "copy"\n  Type = Copy\n  Selection Type = Job\n  JobDefs = "vmsnap"\n'
        f'  Selection Pattern = "backup-vm-{machine.name}"\n  FileSet = "vmsnap-{machine.name}"\n'
        "  Next Pool = kept\n}\n",
    )
    bareos.reload()
    for pool in ("vmsnap-full", "vmsnap-incremental"):
        check_ok(bareos.wait(bareos.start_job(f"run job=copy pool={pool} yes")))
    originals = ", ".join(str(job.jobid) for job in jobs)
    query = (
        "SELECT jobid FROM job WHERE type = 'C' AND jobstatus = 'T' "
        f"AND priorjobid IN ({originals}) ORDER BY jobid"
    )
    until(lambda: len(bareos.database.query(query)) == 2)
    copies = bareos.database.query(query)
    check_restore(proxy, machine, [int(row[0]) for row in copies])


def test_migration(proxy: Proxy) -> None:
    """Restore objects move with the job, so that the next Incremental still knows its base."""
    bareos = proxy.bareos
    machine, jobs = chain(proxy, NEXT, 2)
    name, originals = machine.name, ", ".join(str(job.jobid) for job in jobs)
    bareos.configuration.add("job", "migrate", MIGRATE.format(vm=name))
    bareos.reload()
    for pool in ("vmsnap-full", "vmsnap-incremental"):
        check_ok(bareos.wait(bareos.start_job(f"run job=migrate pool={pool} yes")))
    query = (
        "SELECT j.jobid, o.type FROM job o JOIN job j ON j.priorjobid = o.jobid "
        f"WHERE j.type = 'B' AND j.jobstatus = 'T' AND o.jobid IN ({originals}) ORDER BY j.jobid"
    )
    until(lambda: len(bareos.database.query(query)) == 2)
    migrated = bareos.database.query(query)
    assert [kind for _, kind in migrated] == ["M", "M"]
    full, incremental = (int(jobid) for jobid, _ in migrated)
    assert objects(bareos, incremental) > 0

    machine.snapshot("after the migration")
    machine.scribble("more")
    following = bareos.backup(name, "Incremental")
    check_ok(following)
    assert "cannot build on a previous job" not in following.log
    assert "changes of the current state are counted" not in following.log
    assert ", 2 segments, time point" in following.log
    before = machine.portrait()
    machine.destroy()
    restored = bareos.restore(name)  # Bareos chooses the jobs
    check_ok(restored)
    assert proxy.find(name).portrait() == before
    proxy.find(name).destroy()
    check_ok(bareos.restore(name, jobs=[full, incremental]))
    assert proxy.find(name).snapshot_names == ["S0", "S1"]


@pytest.mark.parametrize("accurate", ["", "  Accurate = yes\n"], ids=["plain", "Accurate"])
def test_virtual_full(proxy: Proxy, accurate: str) -> None:
    """It has no restore objects: the manifest comes as a file, the segments wait for it."""
    bareos = proxy.bareos
    machine, _ = chain(proxy, NEXT + accurate)
    virtual = bareos.backup(machine.name, "VirtualFull")
    assert (virtual.status, virtual.level) == ("T", "F"), virtual.log
    assert objects(bareos, virtual.jobid) == 0
    name, before = machine.name, machine.portrait()
    restored = check_restore(proxy, machine, [virtual.jobid])
    assert "are kept in the working directory" in restored.log

    machine = proxy.find(name)
    assert machine.portrait() == before
    machine.scribble("after the VirtualFull")
    following = bareos.backup(name, "Differential")
    assert following.status == "T", following.log
    assert "full" in following.log.lower()
    check_restore(proxy, machine, [virtual.jobid, following.jobid])


@pytest.mark.parametrize("keep", [1, 0])
def test_always_incremental(proxy: Proxy, keep: int) -> None:
    """If the newest Incremental was consolidated too, the next one has nothing to build upon."""
    bareos = proxy.bareos
    always = f"""  Accurate = yes
  Always Incremental = yes
  Always Incremental Job Retention = 1 second
  Always Incremental Keep Number = {keep}
"""
    machine, jobs = chain(proxy, NEXT + always, 4)
    bareos.configuration.add(
        "job",
        "consolidate",
        'Job {\n  Name = "consolidate"\n  Type = Consolidate\n  JobDefs = "vmsnap"\n'
        f'  FileSet = "vmsnap-{machine.name}"\n  Accurate = yes\n}}\n',
    )
    bareos.reload()
    check_ok(bareos.wait(bareos.start_job("run job=consolidate yes")))
    ((consolidated,),) = bareos.database.query(
        f"SELECT max(jobid) FROM job WHERE name = 'backup-vm-{machine.name}'"
    )
    assert int(consolidated) > jobs[-1].jobid
    check_ok(bareos.wait(int(consolidated)))
    name, before = machine.name, machine.portrait()
    machine.scribble("after the consolidation")
    following = bareos.backup(name, "Incremental")
    assert following.status == "T", following.log
    assert ("cannot build on a previous job" in following.log) is (keep == 0)
    assert machine.portrait() != before
    before = machine.portrait()
    machine.destroy()
    check_ok(bareos.restore(name))
    assert proxy.find(name).portrait() == before
