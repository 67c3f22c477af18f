# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The whole way: backup, VM destroyed, restore, comparison."""

from __future__ import annotations

from typing import Any

from .joblog import check_ok
from .machine import Machine
from .site import Site


def round_trip(site: Site, machine: Machine, **options: Any) -> Machine:
    """Back the VM up, destroy it, restore it and compare; return the restored VM."""
    name, before = machine.name, machine.portrait()
    check_ok(site.backup(name, **options))
    assert machine.portrait() == before, "the backup changed the VM"
    machine.destroy()
    check_ok(site.restore())
    restored = site.find(name)
    assert restored.portrait() == before
    return restored
