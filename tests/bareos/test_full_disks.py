# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Disks that really are full: each job ends as failed, says which disk it was, leaves nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from .joblog import check_failed, check_ok
from .proxy import Proxy, until
from .slow_jobs import backup_snapshots, check_next_job, noisy
from .test_carried_over import NEXT, POOL


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[None]:
    """A file system of that size ("2m"), mounted there for a while."""
    directory.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "vmsnap-test", str(directory)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def virtual_full(proxy: Proxy) -> tuple[Machine, int]:
    """A VM of more data than the small disks take, and a VirtualFull of it."""
    bareos = proxy.bareos
    bareos.configuration.add("pool", "kept", POOL)
    machine = noisy(proxy, job=NEXT)
    check_ok(bareos.backup(machine.name))
    check_ok(bareos.backup(machine.name, "Incremental"))
    return machine, bareos.backup(machine.name, "VirtualFull").jobid


def test_the_working_directory_is_full_in_a_restore(proxy: Proxy) -> None:
    """A VirtualFull has no restore objects: all its segments wait in the working directory."""
    bareos = proxy.bareos
    machine, virtual = virtual_full(proxy)
    name, before = machine.name, machine.portrait()
    machine.destroy()
    other = bareos.another_file_daemon("small-fd")
    bareos.reload()
    working = bareos.root / "work" / "small-fd"
    with small_disk(working, "2m"):
        other.start()
        try:
            job = bareos.restore(name, jobs=[virtual], more="restoreclient=small-fd")
            left = list(working.glob("*spool*"))
        finally:
            other.stop()
    check_failed(job, rf"not written whole to {working}/.*: No space left on device.* Make room")
    assert left == []
    assert proxy.vm_names() == []
    check_ok(bareos.restore(name, jobs=[virtual]))
    assert proxy.find(name).portrait() == before


@pytest.mark.parametrize("target", ["files", "directory"])
def test_the_directory_of_a_restore_is_full(proxy: Proxy, target: str) -> None:
    bareos = proxy.bareos
    machine = noisy(proxy, job="")
    check_ok(bareos.backup(machine.name))
    small = bareos.root / "small"
    options = f"restore_target={target}:restore_directory={small}/it"
    with small_disk(small, "2m"):
        job = bareos.restore(machine.name, options=options)
        whole = list(small.rglob("*.vmseg"))
    check_failed(job, "No space left on device")
    assert whole == []


def test_the_temporary_directory_is_full(proxy: Proxy) -> None:
    """Python looks for another one only if not even an empty file can be made."""
    machine = noisy(proxy, job="")
    with small_disk(proxy.bareos.temporary, "64k,nr_inodes=2"):
        job = proxy.bareos.backup(machine.name)
    check_failed(job, f"No space left on device: {proxy.bareos.temporary}/.* Make room there")
    check_next_job(proxy, machine)


def test_a_volume_is_full(proxy: Proxy) -> None:
    """The storage daemon finds no room for more data, nor for another volume, and asks for one.

    The job waits with its backup snapshot, for Max Wait Time at most.
    """
    bareos = proxy.bareos
    machine = noisy(proxy, job="  Max Wait Time = 10 seconds\n", size=16 * MIB)
    bareos.storage.stop()
    with small_disk(bareos.root / "volumes", "4m"):
        bareos.storage.start()
        jobid = bareos.start_job(f"run job=backup-vm-{machine.name} level=Full yes")
        until(lambda: backup_snapshots(machine))
        until(lambda: "Please mount append Volume" in bareos.job(jobid).log)
        job = bareos.wait(jobid)
        bareos.storage.stop()
    bareos.storage.start()
    assert job.status == "A"
    assert "End of medium on Volume" in job.log
    until(lambda: not proxy.remains())
    check_next_job(proxy, machine)
