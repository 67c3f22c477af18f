# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Two file daemons back up one VM; both have the same host name, as containers may."""

from __future__ import annotations

import threading
import time
from typing import Any, Optional

import pytest
from pyVmomi import vim

from vmsnap_lab.filedaemon import FileDaemon, JobResult

from .during import During
from .hardware import MIB
from .joblog import check_failed, check_ok, log
from .large_vm import make_vm
from .machine import Machine
from .meddling import PREFIX
from .site import REPOSITORY, Site

PATIENCE = 120.0  # seconds


@pytest.fixture
def other(site: Site) -> FileDaemon:
    """A file daemon with a working directory of its own."""
    return FileDaemon(site.directory / "bareos2", plugin_path=REPOSITORY)


class AtOnce:
    """Lets two jobs take their backup snapshots before either of them looks at the tree again."""

    def __init__(self, site: Site, machine: Machine, other: FileDaemon) -> None:
        self._site, self._machine, self._other = site, machine, other
        self._mine = {session.key for session in site.lab.vcenter.sessions.sessionList}
        self._first: Optional[str] = None
        self._second_is_there = threading.Event()
        self.second: Optional[JobResult] = None
        self.thread = threading.Thread(target=self._run_second)

    def hook(self, method: str, session: Any) -> None:
        if session is None or session.key in self._mine:
            return
        if method == "CreateSnapshot_Task" and self._first is None:
            self._first = session.key
            self.thread.start()
            assert self._second_is_there.wait(PATIENCE)
        elif method == "CreateSnapshot_Task" and session.key != self._first:
            self._second_is_there.set()
            self._until(1)
        elif session.key == self._first and self._taken() == 1 and self.thread.is_alive():
            self._until(2)

    def _run_second(self) -> None:
        self.second = self._other.backup(self._site.plugin())

    def _taken(self) -> int:
        tree = self._site.lab.vcenter.vms()[0].tree
        return sum(snapshot.name.startswith(PREFIX) for snapshot in tree.all())

    def _until(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._taken() < count and self.thread.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_snapshots_taken_at_the_same_moment(site: Site, other: FileDaemon) -> None:
    """The one whose snapshot is older goes on; the other one fails and leaves nothing."""
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    machine.snapshot("A")
    machine.scribble("now")
    before = machine.portrait()
    both = AtOnce(site, machine, other)
    site.lab.habits.before_call = both.hook
    first = site.backup()
    both.thread.join()
    site.lab.habits.before_call = None
    assert both.second is not None
    message = check_failed(both.second, "Another backup of VM web1 began at the same moment: job ")
    assert "[backups-at-once]" in message
    check_ok(first)
    assert machine.snapshot_names == ["A"]
    machine.destroy()
    check_ok(site.restore())
    assert site.find().portrait() == before


def test_a_living_jobs_snapshot_is_left_alone(site: Site, other: FileDaemon) -> None:
    machine = make_vm(site)
    second: list[JobResult] = []
    during = During(lambda: second.append(other.backup(site.plugin())), stored=MIB)
    first = site.backup(cancel=during)
    message = check_failed(second[0], r"has the backup snapshot of job .* as well: another backup")
    assert "[leftover-of-others]" in message
    check_ok(first)
    assert machine.snapshot_names == ["A", "B"]


def test_a_daemon_is_known_by_its_working_directory(site: Site, other: FileDaemon) -> None:
    """After a job that died, the same daemon cleans up; another one does only if it may."""
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    site.lab.habits.fail("RemoveSnapshot_Task", vim.fault.FileLocked(file="x"), times=9)
    assert site.backup().status == "W"
    site.lab.habits.forgive()
    check_failed(other.backup(site.plugin()), "another backup may be running")
    following = site.backup()
    assert following.status == "T", log(following)
    assert machine.snapshot_names == []
