# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Movers on disks through VDDK: stalls, sudden ends, and what a delta holds."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap.method_names import Method
from bareos_vmsnap.mover.client.mover import Mover, MoverError
from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.vsphere import disks
from tests.mover import harness
from tests.mover.harness import wait_until
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError, plugin

from .vddk import MIB, described

pytestmark = pytest.mark.skipif(
    plugin.find() is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)


def mover_plan(source: VddkDisk, method: Method, **more: Any) -> ReadPlan:
    more.setdefault("requests_in_flight", 3)
    return harness.read_plan(source, LARGE, method, compression="none", **more)


LARGE = 12 * MIB  # more than the pipes on the way and three requests hold


@pytest.fixture(scope="module")
def large(lab: Lab) -> Guest:
    made = lab.create_vm("large", [LARGE])
    made.write(2000, 0, random.Random(1).randbytes(LARGE))
    vm: Any = vim.VirtualMachine(made.moref, lab.connect()._stub)
    WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
    return made


@pytest.mark.parametrize("kept", [True, False])
def test_a_stall_that_is_longer_than_the_hosts_patience(
    lab: Lab, large: Guest, habits: Any, kept: bool
) -> None:
    """The host closes disks that nobody reads; without keeping them alive they are opened anew."""
    habits.idle = 2
    plan = mover_plan(described(lab, large), "full", keepalive=0.4 if kept else 60)
    with Mover.read(plan) as mover:
        mover.wait_ready(harness.TIMEOUT)
        time.sleep(6)
        content = harness.applied(harness.receive(mover), b"", LARGE)
        report = mover.finish(harness.TIMEOUT)
    assert content == large.read(2000, 0, LARGE)
    assert any("connected anew after" in note for note in report.notes) is not kept


def test_no_more_requests_at_a_time_than_nfc_has_buffers(
    lab: Lab, large: Guest, habits: Any, tmp_path: Path
) -> None:
    """However many the mover has in flight; one more would be refused, and the segment fail."""
    habits.most_in_flight, habits.delay = 4, 0.02
    plan = mover_plan(described(lab, large), "full", connections=1, requests_in_flight=12)
    segment, _ = harness.backup(plan)
    assert harness.applied(segment, b"", LARGE) == large.read(2000, 0, LARGE)
    target = lab.create_vm("buffers", [LARGE])
    vm: Any = vim.VirtualMachine(target.moref, lab.connect()._stub)
    WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
    leaf = described(lab, target, leaf=True)
    harness.restore(harness.write_plan(leaf, LARGE, requests_in_flight=12), segment)
    assert target.sha256(2000) == large.sha256(2000)
    most = [call.counts.most_in_flight for call in lab.vddk.named("Close") if call.counts]
    assert max(most) == 4


@pytest.mark.parametrize("kept", [True, False])
def test_a_stall_in_a_restore(lab: Lab, habits: Any, tmp_path: Path, kept: bool) -> None:
    content = random.Random(2).randbytes(4 * MIB)
    target = lab.create_vm(f"target {kept}", [4 * MIB])
    vm: Any = vim.VirtualMachine(target.moref, lab.connect()._stub)
    WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
    image = harness.qcow2(harness.image(tmp_path, "source", content, "qcow2"))
    segment, _ = harness.backup(harness.read_plan(image, 4 * MIB, "full", compression="none"))
    habits.idle = 2
    plan = harness.write_plan(
        described(lab, target, leaf=True), 4 * MIB, keepalive=0.4 if kept else 60
    )
    with Mover.write(plan) as mover:
        mover.wait_ready(harness.TIMEOUT)
        harness.send(mover, segment[: 2 * MIB])
        time.sleep(6)
        harness.send(mover, segment[2 * MIB :])
        if kept:
            mover.finish(harness.TIMEOUT)
        else:
            with pytest.raises(MoverError, match="cannot be reached"):
                mover.finish(harness.TIMEOUT)
    if kept:
        assert target.read(2000, 0, 4 * MIB) == content


def test_further_connections_that_are_refused_are_done_without(
    lab: Lab, large: Guest, habits: Any
) -> None:
    habits.connections = 2
    plan = mover_plan(described(lab, large), "full", connections=4)
    with Mover.read(plan) as mover:
        content = harness.applied(harness.receive(mover), b"", LARGE)
        report = mover.finish(harness.TIMEOUT)
    assert content == large.read(2000, 0, LARGE)
    [note] = report.notes
    assert note.startswith("reading with 2 instead of more connections: ")
    assert "has no room for another NFC connection, or refuses it" in note


def test_a_connection_is_made_anew_where_there_is_room_for_no_more(
    lab: Lab, large: Guest, habits: Any
) -> None:
    habits.connections, habits.delay = 3, 0.01
    before = len(lab.vddk.named("Open"))
    with Mover.read(mover_plan(described(lab, large), "full", connections=3)) as mover:
        mover.wait_ready(harness.TIMEOUT)
        habits.fail("Read", VixError.HOST_TCP_CONN_LOST)
        content = harness.applied(harness.receive(mover), b"", LARGE)
        report = mover.finish(harness.TIMEOUT)
    assert content == large.read(2000, 0, LARGE)
    [note] = report.notes
    assert note.startswith("connected anew after: ")
    assert [call.error for call in lab.vddk.named("Open")[before:]] == [VixError.OK] * 4


def test_a_server_that_is_killed_in_the_middle(lab: Lab, large: Guest, habits: Any) -> None:
    with Mover.read(mover_plan(described(lab, large), "full")) as mover:
        mover.wait_ready(harness.TIMEOUT)
        [nbdkit] = harness.children_of(mover._process.pid)
        os.kill(nbdkit, signal.SIGKILL)
        harness.receive(mover)
        with pytest.raises(MoverError, match=rf"{re.escape(large.moref)}, snapshot-.* failed"):
            mover.finish(harness.TIMEOUT)


def test_a_mover_that_is_killed_takes_its_server_with_it(
    lab: Lab, large: Guest, habits: Any
) -> None:
    with Mover.read(mover_plan(described(lab, large), "full")) as mover:
        mover.wait_ready(harness.TIMEOUT)
        [nbdkit] = harness.children_of(mover._process.pid)
        os.kill(mover._process.pid, signal.SIGKILL)
        wait_until(lambda: not harness.is_running(nbdkit))


def test_long_zeros_over_data(lab: Lab, habits: Any, tmp_path: Path) -> None:
    """nbdkit writes them as data, and a vCenter takes 2 MiB at a time at most."""
    size = 9 * MIB
    made = lab.create_vm("zeroed", [size])
    made.write(2000, 0, b"D" * size)
    vm: Any = vim.VirtualMachine(made.moref, lab.connect()._stub)
    WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
    empty = harness.qcow2(harness.image(tmp_path, "empty", bytes(size), "qcow2"))
    segment, report = harness.backup(harness.read_plan(empty, size, "full"))
    assert (report.zero_bytes, report.frames) == (size, 1)
    harness.restore(harness.write_plan(described(lab, made, leaf=True), size), segment)
    assert made.read(2000, 0, size) == bytes(size)


def test_what_a_delta_holds(lab: Lab, habits: Any) -> None:
    """Zeros that were written are sent; what of a chunk is the parent's comes with the rest."""
    made = lab.create_vm("delta", [MIB])
    made.write(2000, 0, b"P" * MIB)
    vm: Any = vim.VirtualMachine(made.moref, lab.connect()._stub)
    WaitForTask(vm.CreateSnapshot_Task("base", "", False, False))
    made.write(2000, 100, b"x")
    made.write_zeros(2000, 5 * 65536, 65536)
    made.write(2000, MIB - 512, b"E" * 512)
    WaitForTask(vm.CreateSnapshot_Task("child", "", False, False))
    child: Any = vm.snapshot.rootSnapshotList[0].childSnapshotList[0].snapshot
    [disk] = disks.find(child.config.hardware.device)
    here = {"snapshot": child._moId, "path": disk.disk.path}
    source, link = described(lab, made, **here), described(lab, made, single_link=True, **here)
    segment, _ = harness.backup(harness.read_plan(source, MIB, "link", link=link))
    assert [offset // 65536 for offset, _ in harness.covered(segment)] == [0, 5, 15]
    expected = made.read(2000, 0, MIB)
    assert harness.applied(segment, b"P" * MIB, MIB) == expected
    habits.all_allocated = True
    with pytest.raises(MoverError, match="calls all of it written, which may say nothing"):
        harness.backup(harness.read_plan(source, MIB, "link", link=link))
    habits.reset()
    habits.fail("QueryAllocatedBlocks", VixError.NOT_SUPPORTED, times=999)
    with pytest.raises(MoverError, match="calls all of it written, which may say nothing"):
        harness.backup(harness.read_plan(source, MIB, "link", link=link))
