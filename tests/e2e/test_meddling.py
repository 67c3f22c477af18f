# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Users act between any two vCenter calls of a backup: it fails, or its restore is exact.

VMSNAP_EVERY_CALL=1 runs every action before every call, and takes hours.
"""

from __future__ import annotations

import os
import random
from typing import Any, Callable, Optional

import pytest

from vmsnap_lab.filedaemon import JobResult

from .hardware import MIB
from .joblog import check_failed, check_ok, log, said
from .machine import Machine, find_snapshot
from .meddling import PREFIX, Contents, before_calls, edges
from .pictures import draw
from .site import Site

# More than the calls of any of these jobs: an action that comes too late is not done at all.
CALLS = 140
SAMPLES = 14


def _named(machine: Machine, name: str) -> Any:
    return find_snapshot(machine, name)


def _delete(name: str) -> Callable[[Machine], None]:
    def act(machine: Machine) -> None:
        found = _named(machine, name)
        if found is not None:
            machine.remove(found)

    return act


def _delete_backup(machine: Machine) -> None:
    for name in machine.snapshot_names:
        if name.startswith(PREFIX):
            machine.remove(_named(machine, name))


def _delete_all(machine: Machine) -> None:
    machine._done(machine.vm.RemoveAllSnapshots_Task())


def _revert(machine: Machine) -> None:
    machine.revert(_named(machine, "A"))
    machine.scribble("reverted")


def _revert_and_snapshot(machine: Machine) -> None:
    _revert(machine)
    machine.snapshot("user")
    machine.scribble("after user")


def _snapshot(machine: Machine) -> None:
    machine.scribble("before user")
    machine.snapshot("user")
    machine.scribble("after user")


def _rename(machine: Machine) -> None:
    for name, new in (("B", "renamed"), ("A", "also renamed")):
        _named(machine, name).RenameSnapshot(new, "by a user")


def _rename_backup(machine: Machine) -> None:
    for name in machine.snapshot_names:
        if name.startswith(PREFIX):
            _named(machine, name).RenameSnapshot("mine", "by a user")


def _write(machine: Machine) -> None:
    machine.scribble("meanwhile", pieces=4)


def _cbt(machine: Machine) -> None:
    machine.reconfigure(changeTrackingEnabled=False)
    machine.scribble("untracked")
    machine.reconfigure(changeTrackingEnabled=True)


ACTIONS: dict[str, Callable[[Machine], None]] = {
    "snapshot": _snapshot,
    "delete A": _delete("A"),
    "delete B": _delete("B"),
    "delete C": _delete("C"),
    "delete all": _delete_all,
    "delete backup": _delete_backup,
    "revert": _revert,
    "revert, snapshot": _revert_and_snapshot,
    "rename": _rename,
    "write": _write,
    "cbt": _cbt,
}


def _cases() -> list[tuple[str, int, str]]:
    every = [(a, k, v) for a in ACTIONS for k in range(CALLS) for v in ("Full", "Incremental")]
    if os.environ.get("VMSNAP_EVERY_CALL"):
        return every
    return random.Random(16).sample(every, SAMPLES)


def prepare(site: Site) -> Machine:
    """A fork and a state above it."""
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B\n  C *\n")
    machine.scribble("now")
    return machine


def meddle(
    site: Site,
    machine: Machine,
    action: Callable[[Machine], None],
    when: int,
    *,
    level: str = "Full",
    since: Optional[str] = None,
    **options: Any,
) -> tuple[JobResult, Contents]:
    """Run a backup and do something before its call number `when`, from 0.

    `since`: counted from the first call of that method.
    """
    contents = Contents(machine)
    begun: list[int] = [] if since else [0]

    def act(number: int, method: str) -> None:
        if method == since and not begun:
            begun.append(number)
        if begun and number - begun[0] == when:
            action(machine)
            contents.look()
        if method == "CreateSnapshot_Task":
            contents.backup_begins()

    with before_calls(site, act):
        job = site.backup(level=level, **options)
    return job, contents


def check_restored(
    site: Site, job: JobResult, contents: Contents, machine: Machine, *, others: bool = False
) -> None:
    """The restore has the bytes of the moment of the backup snapshot.

    `others`: the tree may be the one that was read a few calls later.
    """
    check_ok(site.restore([*_fulls(site, job)], vmname="copy"))
    copy = site.find("copy")
    faces = Contents(copy).look()
    assert faces[-1].disks == contents.state
    for face in faces[:-1]:
        assert face.disks == contents.known[face.name], face.name
    after = edges(Contents(machine).look())
    assert edges(faces) in (contents.tree, *([after] if others else []))
    copy.destroy()


def _fulls(site: Site, job: JobResult) -> list[int]:
    """The job and those it builds on."""
    good = [each for each in site.daemon.jobs() if each.type == "B" and each.status in "TW"]
    upto = [each for each in good if each.jobid <= job.jobid]
    fulls = [each.jobid for each in upto if each.level == "F"]
    return [each.jobid for each in upto if each.jobid >= fulls[-1]]


@pytest.mark.parametrize(("name", "when", "level"), _cases())
def test_an_action_between_two_calls(site: Site, name: str, when: int, level: str) -> None:
    machine = prepare(site)
    if level != "Full":
        check_ok(site.backup())
        machine.scribble("since")
    job, contents = meddle(site, machine, ACTIONS[name], when, level=level)
    if job.status == "f":
        check_failed(job, ".")
    else:
        assert job.status in "TW", log(job)
        check_restored(site, job, contents, machine, others=name != "snapshot")
    machine.scribble("later")
    following = site.backup(level="Incremental")
    assert following.status == "T", log(following)
    before = machine.portrait()
    check_ok(site.restore(_fulls(site, following), vmname="copy"))
    assert site.find("copy").portrait().faces == before.faces


@pytest.mark.parametrize("later", range(1, 7))
def test_a_snapshot_taken_right_after_ours_is_later(site: Site, later: int) -> None:
    """It hangs below the backup snapshot, and is none of the time point."""
    machine = prepare(site)
    job, contents = meddle(site, machine, _snapshot, later, since="CreateSnapshot_Task")
    assert job.status == "T", log(job)
    assert "user" in machine.snapshot_names
    assert not any(name == "user" for name, _ in contents.tree)
    check_restored(site, job, contents, machine)


def test_a_renamed_backup_snapshot_is_deleted(site: Site) -> None:
    machine = prepare(site)
    job, _ = meddle(site, machine, _rename_backup, 20, since="CreateSnapshot_Task")
    check_ok(job)
    assert machine.snapshot_names == ["A", "B", "C"]


@pytest.mark.parametrize("later", range(1, 5))
def test_the_nvram_is_that_of_the_backup_snapshot(site: Site, later: int) -> None:
    """Somebody reverts the VM after that, which brings another one."""
    machine = site.create(disks=[MIB])
    machine.guest.write_nvram(b"old" * 99)
    machine.snapshot("A")
    machine.guest.write_nvram(b"new" * 99)
    job, _ = meddle(site, machine, _revert, later, since="CreateSnapshot_Task")
    assert job.status == "T", log(job)
    assert machine.guest.nvram() == b"old" * 99
    check_ok(site.restore(vmname="copy"))
    assert site.find("copy").guest.nvram() == b"new" * 99


def test_a_guest_that_writes_nvram_meanwhile(site: Site) -> None:
    """Whether that was before or after the snapshot, nobody knows."""
    machine = site.create(disks=[MIB])

    def write(machine: Machine) -> None:
        machine.guest.write_nvram(b"boot entry" * 9)

    job, _ = meddle(site, machine, write, 0, since="CreateSnapshot_Task")
    assert job.status == "T", log(job)
    (warning,) = said(job, "M_WARNING")
    assert "is that of just after [nvram-changed]" in warning
    check_ok(site.restore(vmname="copy"))
    assert site.find("copy").guest.nvram() == b"boot entry" * 9


def test_a_server_that_shortens_names(site: Site) -> None:
    site.lab.habits.longest_snapshot_name = 30
    machine = prepare(site)
    check_ok(site.backup())
    assert machine.snapshot_names == ["A", "B", "C"]


def test_a_backup_snapshot_that_somebody_deleted_is_reported(site: Site) -> None:
    machine = prepare(site)
    job, _ = meddle(site, machine, _delete_backup, 0, since="RemoveSnapshot_Task")
    assert job.status == "W", log(job)
    (message,) = said(job, "M_ERROR")
    assert "was not there any more" in message
    assert "[backup-snapshot-not-found]" in message


@pytest.mark.parametrize("name", ["delete B", "delete all"])
def test_a_deletion_is_reported_as_one(site: Site, name: str) -> None:
    """And not as Storage vMotion, which renames files as well."""
    machine = prepare(site)
    job, _ = meddle(site, machine, ACTIONS[name], 0, since="QueryChangedDiskAreas")
    message = check_failed(job, r"The snapshots? .*'B'.* of VM web1 (was|were) deleted")
    assert "Storage vMotion" not in message
    assert "[snapshot-deleted]" in message
