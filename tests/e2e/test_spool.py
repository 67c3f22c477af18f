# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Files that wait for their turn keep their content, and go when they are not needed any more."""

from __future__ import annotations

import signal
from pathlib import Path

from bareos_vmsnap.fd.file_spool import FileSpool
from vmsnap_lab.filedaemon import Cancel

from .conftest import Saved
from .joblog import check_ok


def put(spool: FileSpool, name: str) -> None:
    with spool.create(name) as file:
        file.write(name.encode())


def test_files_come_and_go(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, 1)
    for name in ("a", "b"):
        put(spool, name)
    spool.drop("a")
    put(spool, "c")
    for name in ("b", "c"):
        with spool.open(name) as file:
            assert file.read() == name.encode()
    assert spool.names() == ["b", "c"]
    spool.close()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_the_spool_of_a_job_that_runs_is_left_alone(tmp_path: Path) -> None:
    one, other = FileSpool(tmp_path, 1), FileSpool(tmp_path, 2)
    put(one, "a")
    put(other, "b")
    with one.open("a") as file:
        assert file.read() == b"a"
    one.close()
    other.close()


def test_the_file_daemon_dies_in_a_restore(saved: Saved) -> None:
    """What it had spooled is removed by the next restore."""
    site = saved.site
    virtual = site.daemon.virtual_full([saved.job.jobid]).jobid
    dying = Cancel("plugin_io IO_OPEN", 4, signal=signal.SIGKILL)
    job = saved.restore([virtual], vmname="copy", cancel=dying)
    assert job.status == "f"
    assert [text.split("-")[2] for text in site.remains()] == ["spool"]
    check_ok(saved.restore([virtual], vmname="copy"))
    assert site.find("copy").portrait().faces == saved.before.faces
