# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What an admin sees in bconsole."""

from __future__ import annotations

import re

from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from .joblog import check_ok
from .proxy import Proxy, until
from .slow_jobs import noisy


def test_estimate_takes_no_snapshot(proxy: Proxy) -> None:
    machine = proxy.create([MIB])
    draw(machine, "A\n  B *\n")
    events = len(proxy.lab.vcenter.tasks.all)
    output = proxy.bareos.console(f"estimate job=backup-vm-{machine.name} level=Full listing")
    assert len(re.findall(r"/@vmsnap/\S+\.vmseg", output)) == 3
    assert re.search(r"estimate files=\d+ bytes=", output)
    assert len(proxy.lab.vcenter.tasks.all) == events
    assert machine.snapshot_names == ["A", "B"]


def test_files_and_joblog(proxy: Proxy) -> None:
    machine = proxy.create([MIB])
    draw(machine, "A\n  B *\n")
    job = proxy.bareos.backup(machine.name)
    check_ok(job)
    output = proxy.bareos.console(f"list files jobid={job.jobid}", f"list joblog jobid={job.jobid}")
    for place in ("s0001-A", "s0001-A/s0002-B", r"s0001-A/s0002-B/state-\S+"):
        assert re.search(rf"/@vmsnap/{machine.name}\.\w+/{place}/scsi0-0\.\S+\.vmseg", output), (
            output
        )
    assert f"VM {machine.name}, what was sent:" in output
    assert re.search(r"s0002-B +scsi0-0 +s0001-A +cbt ", output)


def test_status_while_a_job_runs(proxy: Proxy) -> None:
    """The file that is being sent is the running segment."""
    bareos = proxy.bareos
    machine = noisy(proxy)
    jobid = bareos.start_job(f"run job=backup-vm-{machine.name} level=Full yes")
    segment = rf"Processing file: /@vmsnap/{machine.name}\.\S+\.vmseg"
    until(lambda: re.search(segment, bareos.console("status client=vmware-proxy-fd")))
    check_ok(bareos.wait(jobid))
