# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Hand-marked subsets: complete for what was marked, or an error that names what is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from ..e2e.portrait import Portrait
from .bareos import Job
from .joblog import check_failed, check_ok, timepoint
from .proxy import Proxy


@dataclass(frozen=True)
class Saved:
    """A VM with the tree A (B, C) and the state below B, a Full and an Incremental of it."""

    name: str
    full: Job
    incremental: Job
    portrait: Portrait


@pytest.fixture(scope="module")
def saved(running: Proxy) -> Saved:
    running.begin()
    machine = running.create([MIB])
    draw(machine, "A\n  B *\n  C\n")
    full = running.bareos.backup(machine.name)
    machine.scribble("more")
    incremental = running.bareos.backup(machine.name, "Incremental")
    check_ok(full)
    check_ok(incremental)
    made = Saved(machine.name, full, incremental, machine.portrait())
    running.clean_up()
    return made


def marked(proxy: Proxy, saved: Saved, *commands: str, options: str = "") -> Job:
    """Restore what these commands mark in the tree of files, from the VM's directory on."""
    output = proxy.bareos.console(
        f"restore client=vmware-proxy-fd fileset=vmsnap-{saved.name} where=/ {options}"
        "current select",
        f"cd /@vmsnap/{saved.name}*",
        *commands,
        "done",
        "yes",
    )
    jobid = re.findall(r"JobId=(\d+)", output)
    assert jobid, output
    return proxy.bareos.wait(int(jobid[-1]))


SUBSETS = {
    "the root": (["cd s0001-A", "mark scsi*"], 4, "s0001-A/s0002-B/scsi0-0"),
    "one branch": (["cd s0001-A", "mark s0003-C"], 4, "s0001-A/scsi0-0"),
    "the manifests": (["mark manifest*"], 5, "s0001-A/scsi0-0"),
    "the NVRAM": (["mark *.nvram"], 5, "s0001-A/scsi0-0"),
    "all but one": (["mark *", "cd s0001-A/s0002-B", "unmark scsi*"], 1, "s0001-A/s0002-B/scsi0-0"),
}


@pytest.mark.parametrize("subset", SUBSETS)
def test_what_is_missing_is_named(proxy: Proxy, saved: Saved, subset: str) -> None:
    commands, count, first = SUBSETS[subset]
    log = check_failed(
        marked(proxy, saved, *commands),
        rf"{count} of 5 segments did not come: /@vmsnap/{saved.name}\.\w+/{first}.* Select them too",
    )
    incomplete = [f"{saved.name} (incomplete restore)"]
    assert proxy.vm_names() == (incomplete if subset in ("the root", "all but one") else [])
    left = f"the incomplete VM {saved.name}" if proxy.vm_names() else "nothing"
    assert f"The restore is not complete. Left behind: {left}" in log


def test_only_the_newest_job(proxy: Proxy, saved: Saved) -> None:
    """Its restore objects tell what else there is; without them its manifest file does."""
    incremental = saved.incremental.jobid
    job = proxy.bareos.restore(saved.name, jobs=[incremental])
    check_failed(job, r"4 of 5 segments did not come: .*-j\d+\.vmseg.* of every job since")
    assert proxy.vm_names() == []


def test_one_time_point_of_the_jobs(proxy: Proxy, saved: Saved) -> None:
    """All that the Full saved, although the Incremental is among the jobs."""
    newest = f"state-{timepoint(saved.incremental)}"
    commands = ["mark *", "cd s0001-A/s0002-B", f"unmark {newest}"]
    job = marked(proxy, saved, *commands)
    check_failed(job, "1 of 5 segments did not come: .* Or choose a time point")
    proxy.clean_up()
    option = f"pluginoptions=python3:restore_timepoint={timepoint(saved.full)} "
    check_ok(marked(proxy, saved, *commands, options=option))
    assert proxy.find(saved.name).snapshot_names == ["A", "B", "C"]


def test_the_state_alone_needs_its_line_only(proxy: Proxy, saved: Saved) -> None:
    option = "pluginoptions=python3:restore_snapshots=none "
    job = marked(proxy, saved, "mark *", "cd s0001-A", "unmark s0003-C", options=option)
    check_ok(job)
    assert proxy.find(saved.name).portrait().faces == saved.portrait.faces[-1:]


def test_a_subset_as_files(proxy: Proxy, saved: Saved, tmp_path: Path) -> None:
    """Whatever was marked comes."""
    option = f"pluginoptions=python3:restore_target=files:restore_directory={tmp_path} "
    job = marked(proxy, saved, "cd s0001-A", "mark s0003-C", options=option)
    check_ok(job)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file.parent.name == "s0003-C"
    assert file.suffix == ".vmseg"


def test_a_plain_file_of_the_same_fileset_needs_no_vm(proxy: Proxy, tmp_path: Path) -> None:
    """The VM's restore objects come all the same; the VM is left alone."""
    plain = tmp_path / "plain"
    plain.write_text("saved beside the VM")
    machine = proxy.create([MIB], lines=f'    File = "{plain}"\n')
    job = proxy.bareos.backup(machine.name)
    check_ok(job)
    plain.unlink()
    start = f"restore client=vmware-proxy-fd where=/ jobid={job.jobid}"
    commands = (f"cd {plain.parent}", "mark plain", "done", "yes")
    check_ok(proxy.bareos.wait(proxy.bareos.start_job(start, *commands)))
    assert plain.read_text() == "saved beside the VM"
    assert proxy.vm_names() == [machine.name]
