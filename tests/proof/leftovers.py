# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What jobs left behind that no job may leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from tests.e2e import processes
from tests.e2e.site import Site
from vmsnap_lab.filedaemon import FileDaemon

_SETTLING = 60  # seconds in which servers of disks notice that their clients are gone


def check_none(
    site: Site,
    daemons: Sequence[FileDaemon],
    mine: Collection[str],
    snapshots: Callable[[], list[str]],
    spools: Collection[Path],
) -> None:
    """`mine`: sessions that are none of jobs. Processes and servers get a moment to end.

    With a job's process its threads have ended. `spools` are those of restores that were
    killed: they stay until the next restore of their daemon.
    """
    deadline = time.monotonic() + _SETTLING
    while True:
        left = set(spools_of(daemons)) - set(spools)
        found = [*_passing(site), *_lasting(site, daemons, mine), *snapshots()]
        found += [f"spool {path.name}" for path in left]
        if not found:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def spools_of(daemons: Sequence[FileDaemon]) -> list[Path]:
    """Where restores keep files that come too early."""
    return [path for each in daemons for path in (each.directory / "working").glob("*spool*")]


def _passing(site: Site) -> list[str]:
    pids = {*processes.marked(site.mark), *site.holders()}
    found = [f"process {processes.describe(pid)}" for pid in sorted(pids)]
    return found + [f"open disk {name}" for name in site.open_disks()]


def _lasting(site: Site, daemons: Sequence[FileDaemon], mine: Collection[str]) -> list[str]:
    vcenter = site.lab.vcenter
    working = [daemon.directory / "working" for daemon in daemons]
    sessions = [each for each in vcenter.sessions.sessionList if each.key not in mine]
    locks = [path for place in working for path in place.glob("*.lock")]
    return [
        *(f"session of {session.userAgent}" for session in sessions),
        *(
            f"{vm.name} not migrated for {holder}"
            for vm in vcenter.vms()
            for holder in vm.migration_disabled_by
        ),
        *(f"lock {path.name}" for path in locks if processes.is_locked(path)),
        *(f"temporary {path.name}" for path in site.temporary.iterdir()),
    ]
