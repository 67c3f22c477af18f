# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Verify jobs, the calls the WebUI makes, another file daemon."""

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


def test_restore_as_the_webui_does(proxy: Proxy) -> None:
    """By bvfs: a directory of the VM is chosen, and plugin options are given."""
    bareos = proxy.bareos
    machine = proxy.create([MIB])
    draw(machine, "A\n  B *\n")
    name = machine.name
    full = bareos.backup(name)
    machine.scribble("more")
    incremental = bareos.backup(name, "Incremental")
    before = machine.portrait()
    machine.destroy()

    bareos.console(f".bvfs_update jobid={full.jobid},{incremental.jobid}")
    told = bareos.console(f".bvfs_get_jobids jobid={incremental.jobid} all")
    jobs = f"{full.jobid},{incremental.jobid}"
    assert jobs in told
    told = bareos.console(f".bvfs_lsdirs jobid={jobs} path=/@vmsnap/")
    (row,) = (line for line in told.splitlines() if re.search(rf"\t{name}\.\w+/$", line))
    directory, path_id = row.split("\t")[-1], row.split("\t")[0]
    told = bareos.console(f".bvfs_lsdirs jobid={jobs} path=/@vmsnap/{directory}")
    assert "\ts0001-A/" in told
    told = bareos.console(f".bvfs_lsfiles jobid={jobs} path=/@vmsnap/{directory}s0001-A/")
    assert re.search(r"scsi0-0\.\S+\.vmseg", told)

    table = "b2000000001"
    told = bareos.console(
        f".bvfs_restore jobid={jobs} fileid= dirid={path_id} hardlink= path={table}"
    )
    assert "OK" in told, told
    jobid = bareos.start_job(
        f"restore file=?{table} client=vmware-proxy-fd restoreclient=vmware-proxy-fd "
        'restorejob="restore-vm" where=/ replace=always '
        "pluginoptions=python3:vmname=by%20webui yes"
    )
    check_ok(bareos.wait(jobid))
    bareos.console(f".bvfs_cleanup path={table}")
    assert proxy.find("by webui").portrait() == before


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
