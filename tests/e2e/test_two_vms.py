# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A FileSet with two Plugin lines saves two VMs in one job; they are restored one at a time."""

from __future__ import annotations

from .hardware import MIB
from .joblog import check_failed, check_ok
from .pictures import draw
from .site import Site


def test_two_vms_in_one_job(site: Site) -> None:
    before = {}
    for name in ("web1", "db1"):
        machine = site.create(name, disks=[MIB])
        draw(machine, "A\n  B\n")
        machine.guest.write_nvram(name.encode() * 99)
        before[name] = machine.portrait()
    check_ok(site.backup("web1", "db1"))
    for name in before:
        site.find(name).destroy()

    check_failed(site.restore(), r"db1 .*web1 .*one at a time")
    assert site.vm_names() == []
    for name in ("db1", "web1"):
        check_ok(site.restore(select=lambda path, n=name: f"/{n}." in path))  # type: ignore[misc]
        assert site.find(name).portrait() == before[name]
