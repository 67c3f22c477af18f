# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Users go on working with the VM while it is backed up."""

from __future__ import annotations

from .during import During
from .hardware import MIB
from .joblog import check_failed, check_ok
from .large_vm import make_vm
from .machine import find_snapshot
from .site import Site


def test_what_users_do_meanwhile_stays_and_is_not_in_the_backup(site: Site) -> None:
    machine = make_vm(site)
    before = machine.portrait()

    def work() -> None:
        machine.scribble("later")
        machine.snapshot("later")
        first = find_snapshot(machine, "A")
        assert first is not None
        machine.revert(first)
        machine.rename("renamed")
        machine.scribble("last")
        machine.guest.power_on()

    check_ok(site.backup(cancel=During(work, stored=MIB)))
    assert machine.snapshot_names == ["A", "B", "later"]
    assert machine.name == "renamed"
    check_ok(site.restore())
    assert site.find("web1").portrait().faces == before.faces


def test_a_snapshot_deleted_meanwhile(site: Site) -> None:
    machine = make_vm(site)
    last = find_snapshot(machine, "B")
    job = site.backup(cancel=During(lambda: machine.remove(last), stored=MIB))
    check_failed(job, "The snapshot 'B' of VM web1 was deleted while the job worked with the VM")
    assert machine.snapshot_names == ["A"]
