# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Verify jobs, another file daemon."""

from __future__ import annotations

import re

from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from .joblog import check_ok
from .proxy import Proxy


def test_verify_volume_to_catalog(proxy: Proxy) -> None:
    bareos = proxy.bareos
    machine = proxy.create([MIB])
    draw(machine, "A\n  B *\n")
    backup = bareos.backup(machine.name)
    check_ok(backup)
    verify = (
        'Job {\n  Name = "verify"\n  Type = Verify\n  Level = VolumeToCatalog\n'
        f'  Client = vmware-proxy-fd\n  FileSet = "vmsnap-{machine.name}"\n  Storage = File\n'
        f'  Pool = vmsnap-full\n  Messages = Standard\n  Verify Job = "backup-vm-{machine.name}"\n}}\n'
    )
    bareos.configuration.add("job", "verify", verify)
    bareos.reload()
    job = bareos.wait(bareos.start_job(f"run job=verify jobid={backup.jobid} yes"))
    check_ok(job)
    assert re.search(r"Verify OK", job.log)


def test_restore_by_another_file_daemon(proxy: Proxy) -> None:
    """All it needs is the plugin and the same configuration file."""
    bareos = proxy.bareos
    machine = proxy.create([MIB])
    draw(machine, "A\n  B *\n")
    name = machine.name
    check_ok(bareos.backup(name))
    before = machine.portrait()
    machine.destroy()
    other = bareos.another_file_daemon("proxy2-fd")
    bareos.reload()
    other.start()
    try:
        job = bareos.restore(name, more="restoreclient=proxy2-fd")
        check_ok(job)
    finally:
        other.stop()
    assert "proxy2-fd JobId" in job.log
    assert proxy.find(name).portrait() == before
