# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""director-config/ as shipped: VM web1, its job and its restore job, as the README files say."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from ..e2e.portrait import Portrait
from .bareos import Job
from .joblog import check_ok, timepoint
from .proxy import Proxy

LEVELS = ("Full", "Incremental", "Differential", "Incremental")


@dataclass(frozen=True)
class Saved:
    """What jobs of web1 saved, each with the portrait of the VM at that time."""

    jobs: list[Job]
    portraits: list[Portrait]


@pytest.fixture(scope="module")
def saved(running: Proxy) -> Iterator[Saved]:
    running.begin()
    machine = running.create([2 * MIB, MIB + 512], name="web1")
    draw(machine, "A\n  B\n    C\n  D *\n")
    made = Saved([], [])
    for level in LEVELS:
        machine.scribble(f"before {len(made.jobs)}")
        made.portraits.append(machine.portrait())
        made.jobs.append(running.bareos.backup("web1", level))
        check_ok(made.jobs[-1])
        machine.snapshot(f"after {len(made.jobs)}", "by a user")
    running.clean_up()
    yield made


def _digest(image: Path) -> str:
    """SHA-256 of what a virtual disk holds, its base images' included."""
    raw = image.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(image), str(raw)], check=True)
    return hashlib.sha256(raw.read_bytes()).hexdigest()


def test_the_configuration_is_clean(proxy: Proxy) -> None:
    clean = {"bareos-dir": "", "bareos-sd": "", "bareos-fd": ""}
    assert proxy.bareos.test_configuration() == clean


def test_the_jobs_sent_only_what_is_new(saved: Saved) -> None:
    full, *others = saved.jobs
    assert [job.level for job in saved.jobs] == ["F", "I", "D", "I"]
    assert all(job.bytes < full.bytes / 2 for job in others)


def test_restore_the_newest(proxy: Proxy, saved: Saved) -> None:
    check_ok(proxy.bareos.restore("web1"))
    assert proxy.find("web1").portrait() == saved.portraits[-1]


def test_restore_an_older_job(proxy: Proxy, saved: Saved) -> None:
    full, incremental = saved.jobs[:2]
    check_ok(proxy.bareos.restore(jobs=[full.jobid, incremental.jobid]))
    assert proxy.find("web1").portrait() == saved.portraits[1]


def test_restore_before_a_date(proxy: Proxy, saved: Saved) -> None:
    ((started,),) = proxy.bareos.database.query(
        f"SELECT starttime FROM job WHERE jobid = {saved.jobs[2].jobid}"
    )
    jobid = proxy.bareos.start_job(
        "restore client=vmware-proxy-fd fileset=vmsnap-web1 where=/ "
        f'before="{started}" select all done yes'
    )
    check_ok(proxy.bareos.wait(jobid))
    assert proxy.find("web1").portrait() == saved.portraits[1]


def test_restore_an_older_time_point(proxy: Proxy, saved: Saved) -> None:
    jobs = [job.jobid for job in saved.jobs[:2]]
    option = f"restore_timepoint={timepoint(saved.jobs[0])}"
    check_ok(proxy.bareos.restore(jobs=jobs, options=option))
    assert proxy.find("web1").portrait() == saved.portraits[0]


def test_restore_under_another_name(proxy: Proxy, saved: Saved) -> None:
    check_ok(proxy.bareos.restore("web1", options="vmname=web1%20copy%3a%20升级"))
    assert proxy.vm_names() == ["web1 copy: 升级"]
    assert proxy.find("web1 copy: 升级").portrait() == saved.portraits[-1]


def test_restore_without_snapshots(proxy: Proxy, saved: Saved) -> None:
    check_ok(proxy.bareos.restore("web1", options="restore_snapshots=none"))
    restored = proxy.find("web1")
    assert restored.snapshot_names == []
    assert restored.portrait().faces == saved.portraits[-1].faces[-1:]


def test_restore_into_a_directory(proxy: Proxy, saved: Saved, tmp_path: Path) -> None:
    options = f"restore_target=directory:restore_directory={tmp_path}/web1"
    check_ok(proxy.bareos.restore("web1", options=options))
    assert proxy.vm_names() == []
    digests = {_digest(path) for path in tmp_path.rglob("*.qcow2")}
    disks = [disk for face in saved.portraits[-1].faces for disk in face.disks]
    assert {digest for _, _, digest in disks} <= digests


def test_a_wrong_option_at_restore(proxy: Proxy, saved: Saved) -> None:
    job = proxy.bareos.restore("web1", options="restore_colour=red")
    assert job.status == "f", job.log
    assert "restore_colour is no option of this plugin" in job.log
    assert proxy.vm_names() == []


def test_restore_by_the_menus(proxy: Proxy, saved: Saved) -> None:
    """Menu 5, the most recent backup of a client: the tree of files is the snapshot tree."""
    output = proxy.bareos.console(
        "restore client=vmware-proxy-fd fileset=vmsnap-web1 where=/",
        "5",
        "cd /@vmsnap/web1*",
        "cd s0001-A",
        "ls",
        "cd /",
        "mark *",
        "done",
        "yes",
    )
    assert {"s0002-B/", "s0004-D/"} <= set(output.split())
    jobid = int(re.findall(r"JobId=(\d+)", output)[-1])
    check_ok(proxy.bareos.wait(jobid))
    assert proxy.find("web1").portrait() == saved.portraits[-1]


def test_restore_of_listed_jobs_by_the_menus(proxy: Proxy, saved: Saved) -> None:
    """Menu 3, a list of jobs."""
    full = saved.jobs[0].jobid
    output = proxy.bareos.console(
        "restore client=vmware-proxy-fd where=/", "3", str(full), "mark *", "done", "yes"
    )
    jobid = int(re.findall(r"JobId=(\d+)", output)[-1])
    check_ok(proxy.bareos.wait(jobid))
    assert proxy.find("web1").portrait() == saved.portraits[0]
