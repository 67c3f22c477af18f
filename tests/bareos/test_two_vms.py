# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Several VMs in one FileSet and in one restore."""

from __future__ import annotations

import pytest

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from . import shipped
from .joblog import check_failed, check_ok
from .proxy import Proxy


@pytest.fixture
def pair(proxy: Proxy) -> list[Machine]:
    """Two VMs in one FileSet of two Plugin lines; the Job has the name of the first."""
    other = proxy.create([MIB])
    root = str(proxy.bareos.root)
    shipped_line = shipped.text("bareos-dir.d/fileset/vmsnap-web1.conf", {})
    line = shipped_line[shipped_line.index("    Plugin =") : shipped_line.index('":vmname=web1"')]
    line = line.replace("/usr/lib/bareos/plugins", f"{root}/plugins")
    line = line.replace("/etc/bareos", f"{root}/etc").replace("Datacenter", "Lab")
    machines = [proxy.create([MIB], lines=f'{line}":vmname={other.name}"\n'), other]
    for each in machines:
        each.scribble(each.name)
        each.snapshot("A")
        each.scribble("now")
    return machines


def test_both_come_back(proxy: Proxy, pair: list[Machine]) -> None:
    bareos, job = proxy.bareos, pair[0].name
    check_ok(bareos.backup(job))
    for machine in pair:
        machine.snapshot("B")
        machine.scribble("later")
    before = {machine.name: machine.portrait() for machine in pair}
    incremental = bareos.backup(job, "Incremental")
    check_ok(incremental)
    assert incremental.bytes < 2 * MIB
    for machine in pair:
        machine.destroy()
    check_ok(bareos.restore(job, options="restore_created=no"))
    assert {name: proxy.find(name).portrait() for name in before} == before


def test_accurate_keeps_what_both_need(proxy: Proxy, pair: list[Machine]) -> None:
    bareos, job = proxy.bareos, pair[0].name
    before = {machine.name: machine.portrait() for machine in pair}
    check_ok(bareos.backup(job, more="accurate=yes"))
    check_ok(bareos.backup(job, "Incremental", more="accurate=yes"))
    for machine in pair:
        machine.destroy()
    check_ok(bareos.restore(job))
    assert {name: proxy.find(name).portrait() for name in before} == before


def test_one_of_them_is_marked(proxy: Proxy, pair: list[Machine]) -> None:
    bareos, name, before = proxy.bareos, pair[1].name, pair[1].portrait()
    job = bareos.backup(pair[0].name)
    check_ok(job)
    for machine in pair:
        machine.destroy()
    commands = ("cd /@vmsnap", f"mark {name}.*", "done", "yes")
    start = f"restore client=vmware-proxy-fd where=/ jobid={job.jobid}"
    check_ok(bareos.wait(bareos.start_job(start, *commands)))
    assert proxy.vm_names() == [name]
    assert proxy.find(name).portrait() == before


def test_jobs_of_two_vms_in_one_restore(proxy: Proxy) -> None:
    bareos = proxy.bareos
    machines = [proxy.create([MIB]) for _ in range(2)]
    before = {machine.name: machine.portrait() for machine in machines}
    jobs = [bareos.backup(machine.name) for machine in machines]
    for machine, job in zip(machines, jobs):
        check_ok(job)
        machine.destroy()
    check_ok(bareos.restore(jobs=[job.jobid for job in jobs]))
    assert {name: proxy.find(name).portrait() for name in before} == before
    check_failed(
        bareos.restore(jobs=[job.jobid for job in jobs], options="vmname=copy"),
        "several VMs, and vmname was given for all of them",
    )
