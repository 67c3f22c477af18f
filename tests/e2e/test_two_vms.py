# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A FileSet with two Plugin lines: what a restore could not tell apart is refused when saving."""

from __future__ import annotations

from .hardware import MIB
from .joblog import check_failed
from .site import Site


def test_two_vms_in_one_job_are_refused(site: Site) -> None:
    machines = [site.create(name, disks=[MIB]) for name in ("web1", "db1")]
    check_failed(site.backup("web1", "db1"), "more than one Plugin line")
    assert [machine.vm.snapshot for machine in machines] == [None, None]
