# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Restores by the WebUI: the newest state, older ones, several VMs of one client, plugin options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from ..e2e.portrait import Portrait
from .bareos import Job
from .joblog import check_failed, check_ok, timepoint
from .proxy import Proxy
from .webui import LONGEST_PLUGIN_OPTIONS, WebUi


@dataclass
class Saved:
    """A VM's jobs (Full, Incremental, Incremental), with its portrait at each."""

    name: str
    jobs: list[Job] = field(default_factory=list)
    portraits: list[Portrait] = field(default_factory=list)

    @property
    def ids(self) -> list[int]:
        return [job.jobid for job in self.jobs]


@pytest.fixture(scope="module")
def saved(running: Proxy) -> Saved:
    """One of two VMs that one client has backups of."""
    running.begin()
    other = running.create([MIB])
    check_ok(running.bareos.backup(other.name))
    machine = running.create([MIB, MIB])
    draw(machine, "A\n  B *\n  C 升级\n")
    made = Saved(machine.name)
    for level in ("Full", "Incremental", "Incremental"):
        machine.scribble(f"before {len(made.jobs)}")
        made.portraits.append(machine.portrait())
        made.jobs.append(running.bareos.backup(machine.name, level))
        check_ok(made.jobs[-1])
        machine.snapshot(f"after {level}")
    check_ok(running.bareos.backup(other.name, "Incremental"))
    running.clean_up()
    return made


@pytest.fixture
def webui(proxy: Proxy) -> Iterator[WebUi]:
    page = WebUi(proxy.bareos)
    yield page
    page.close()


def restored(proxy: Proxy, jobid: int) -> Portrait:
    """Wait for the restore; the one VM it made."""
    check_ok(proxy.bareos.wait(jobid))
    (name,) = proxy.vm_names()
    return proxy.find(name).portrait()


def directory(webui: WebUi, jobs: list[int], saved: Saved) -> int:
    """Unfold the tree down to the VM's directory."""
    return int(webui.unfold(jobs, "", "@vmsnap", rf"{saved.name}\.\w+")["pathid"])


def test_the_page_shows_the_snapshot_tree(webui: WebUi, saved: Saved) -> None:
    assert webui.where() == "/"
    backups = [int(row["jobid"]) for row in webui.backups()]
    assert [jobid for jobid in backups if jobid in saved.ids] == saved.ids[::-1]
    jobs = webui.related(saved.ids[-1])
    assert jobs == saved.ids
    vm = directory(webui, jobs, saved)
    assert "s0001-A" in webui.directories(jobs, vm)
    assert len([name for name in webui.files(jobs, vm) if name.startswith("manifest.")]) == 3
    snapshot = webui.directories(jobs, vm)["s0001-A"]["pathid"]
    assert {"s0002-B", "s0003-C_升级"} <= set(webui.directories(jobs, snapshot))
    assert {name.split(".")[0] for name in webui.files(jobs, snapshot)} == {"scsi0-0", "scsi0-1"}


def test_every_file_has_one_version(webui: WebUi, saved: Saved) -> None:
    """A name never gets another content, so an older version of a file never is what is wanted."""
    jobs = webui.related(saved.ids[-1])
    pending = [directory(webui, jobs, saved)]
    names = []
    while pending:
        path_id = pending.pop()
        pending += [int(row["pathid"]) for row in webui.directories(jobs, path_id).values()]
        for name in webui.files(jobs, path_id):
            names.append(name)
            assert len(webui.versions(path_id, name)) == 1
    assert len(names) > 10


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_chosen_backup(proxy: Proxy, webui: WebUi, saved: Saved, number: int) -> None:
    """Of a backup and those it builds on, the VM's directory is ticked."""
    jobs = webui.related(saved.ids[number])
    assert jobs == saved.ids[: number + 1]
    jobid = webui.restore(jobs, directories=[directory(webui, jobs, saved)])
    assert restored(proxy, jobid) == saved.portraits[number]


def test_all_filesets_merged(proxy: Proxy, webui: WebUi, saved: Saved) -> None:
    """The form's default: jobs of every VM of the client, of which one VM's directory is ticked."""
    jobs = webui.related(saved.ids[-1], merge_filesets=True)
    assert set(saved.ids) < set(jobs)
    jobid = webui.restore(jobs, directories=[directory(webui, jobs, saved)])
    assert restored(proxy, jobid) == saved.portraits[-1]


def test_plugin_options(proxy: Proxy, webui: WebUi, saved: Saved) -> None:
    """An older time point among all jobs, under a name with blanks and colons."""
    jobs = webui.related(saved.ids[-1])
    options = f"restore_timepoint={timepoint(saved.jobs[0])}:vmname=web%20copy%3a%20升级"
    ticked = [directory(webui, jobs, saved)]
    jobid = webui.restore(jobs, directories=ticked, plugin_options=f"python3:{options}")
    assert restored(proxy, jobid).faces == saved.portraits[0].faces
    assert proxy.vm_names() == ["web copy: 升级"]


def test_blanks_in_plugin_options_are_not_understood(
    proxy: Proxy, webui: WebUi, saved: Saved
) -> None:
    """By Bareos itself, although the WebUI quotes them: therefore the percent signs."""
    jobs = webui.related(saved.ids[-1])
    ticked = [directory(webui, jobs, saved)]
    with pytest.raises(RuntimeError):
        webui.restore(jobs, directories=ticked, plugin_options="python3:vmname=web copy")
    assert proxy.vm_names() == []


def test_more_plugin_options_than_the_form_takes(proxy: Proxy, webui: WebUi, saved: Saved) -> None:
    """A file on the file daemon's machine holds them."""
    file = proxy.bareos.root / "etc" / "vmsnap" / "restore.ini"
    vcenter = file.with_name("vcenter.ini").read_text()
    file.write_text(f"{vcenter}\nrestore_created = yes\nrestore_on_failure = remove\n")
    file.chmod(0o600)
    options = f"python3:config_file={file}:vmname=copy"
    assert len(options) <= LONGEST_PLUGIN_OPTIONS
    jobs = webui.related(saved.ids[-1])
    ticked = [directory(webui, jobs, saved)]
    restored(proxy, webui.restore(jobs, directories=ticked, plugin_options=options))
    assert "\nTaken " in proxy.find("copy").roots[0].description


def test_ticked_files(proxy: Proxy, webui: WebUi, saved: Saved) -> None:
    """Every directory unfolded, every file ticked one by one."""
    jobs = webui.related(saved.ids[-1])
    pending = [directory(webui, jobs, saved)]
    files: list[int] = []
    while pending:
        path_id = pending.pop()
        pending += [int(row["pathid"]) for row in webui.directories(jobs, path_id).values()]
        files += [int(row["fileid"]) for row in webui.files(jobs, path_id).values()]
    assert restored(proxy, webui.restore(jobs, files=files)) == saved.portraits[-1]


def test_jobs_are_not_merged(proxy: Proxy, webui: WebUi, saved: Saved) -> None:
    """ "Merge all related jobs: no": the last Incremental alone is no VM."""
    jobs = webui.related(saved.ids[-1], merge_jobs=False)
    assert jobs == saved.ids[-1:]
    jobid = webui.restore(jobs, directories=[directory(webui, jobs, saved)])
    job = proxy.bareos.wait(jobid)
    check_failed(job, r"\d+ of \d+ segments did not come")
