# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Disks through NBD, as a data mover reads and writes them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbd
import pytest
from pyVmomi import vim

from vmsnap_lab.lab import Lab
from vmsnap_lab.vcenter.vm import locks

from .client import BLOCK, MIB, Client, changed, disk, new_disk, reconfigure, remove, wait
from .test_process import servers


@contextmanager
def opened(uri: str) -> Iterator[Any]:
    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.add_meta_context("base:allocation")
    handle.connect_uri(uri)
    try:
        yield handle
    finally:
        handle.shutdown()


def uri(lab: Lab, vm: Any, snapshot: Any = None, key: int = 2000, single: bool = False) -> str:
    template = lab.nbd_link_uri if single else lab.nbd_uri
    state = snapshot._moId if snapshot is not None else "current"
    return template.format(vm=vm._moId, snapshot=state, disk=key)


def sockets(lab: Lab, vm: Any) -> set[str]:
    root = Path(lab.nbd_uri.partition("socket=")[2].partition("{vm}")[0], vm._moId)
    return {str(path.relative_to(root)) for path in root.glob("*/*.sock")}


def test_reading_snapshots_while_the_vm_runs(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB, 2 * MIB])
    guest.write(2000, 0, b"A")
    a = client.snapshot(vm, "A")
    guest.write(2000, 0, b"B")
    b = client.snapshot(vm, "B")
    guest.power_on()
    guest.write(2000, 0, b"C")
    with opened(uri(lab, vm, a)) as first, opened(uri(lab, vm, b)) as second:
        assert first.pread(1, 0) == b"A"
        assert second.pread(1, 0) == b"B"
        assert first.is_read_only()
        assert first.get_size() == MIB
        client.snapshot(vm, "C")
        guest.write(2000, 0, b"D")
    with opened(uri(lab, vm, a, 2001)) as other:
        assert other.get_size() == 2 * MIB


def test_a_disk_alone_shows_what_its_own_file_has(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])
    guest.write(2000, 0, b"A" * BLOCK)
    client.snapshot(vm, "A")
    guest.write(2000, 2 * BLOCK, b"B" * BLOCK)
    b = client.snapshot(vm, "B")
    entries: list[int] = []

    def collect(context: str, offset: int, found: list[int], error: int) -> int:
        entries.extend(found)
        return 0

    with opened(uri(lab, vm, b, single=True)) as handle:
        handle.block_status(MIB, 0, collect)
        assert handle.pread(1, 2 * BLOCK) == b"B"
        assert handle.pread(1, 0) == b"\0"
    assert entries[:4] == [2 * BLOCK, 3, BLOCK, 0]


def test_the_current_state_is_closed_while_the_vm_runs(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB], powered_on=True)
    with pytest.raises(nbd.Error), opened(uri(lab, vm)):
        pass
    assert lab.store.refusals[-1].kind == "locked"
    guest.power_off()
    with opened(uri(lab, vm)) as handle:
        assert not handle.is_read_only()


def test_writing_the_leaf_of_a_vm_that_is_off(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])
    guest.write(2000, 0, b"A")
    a = client.snapshot(vm, "A")
    with opened(uri(lab, vm)) as handle:
        handle.pwrite(b"B" * BLOCK, BLOCK)
    assert guest.read(2000, BLOCK, 1) == b"B"
    assert guest.read(2000, BLOCK, 1, "A") == b"\0"
    b = client.snapshot(vm, "B")
    assert changed(vm, b, a) == [(BLOCK, BLOCK)]


def test_an_open_disk_is_locked(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    guest, vm = client.vm([MIB])
    a = client.snapshot(vm, "A")
    attempts = {
        "snapshot": lambda: client.snapshot(vm, "B"),
        "power on": lambda: wait(vm.PowerOnVM_Task()),
        "revert": lambda: wait(a.RevertToSnapshot_Task()),
        "destroy": lambda: wait(vm.Destroy_Task()),
        "relocate": lambda: wait(
            vm.RelocateVM_Task(
                vim.vm.RelocateSpec(datastore=client.find("Lab/datastore/datastore2"))
            )
        ),
        "remove disk": lambda: reconfigure(vm, remove(disk(vm.config), destroy=True)),
    }
    with opened(uri(lab, vm)):
        for name, attempt in attempts.items():
            with pytest.raises(vim.fault.FileLocked):
                attempt()
                pytest.fail(f"{name} was not refused")
    assert guest.disks == [2000]
    assert vm.runtime.powerState == "poweredOff"
    monkeypatch.undo()
    for name in ("snapshot", "revert", "power on"):
        attempts[name]()


def test_a_server_that_takes_long_to_close_a_disk(lab: Lab, client: Client) -> None:
    """The VM is switched on when it has: with its client gone, the disk is not locked any more."""
    guest, vm = client.vm([MIB])
    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.connect_uri(uri(lab, vm))
    file = os.fsencode(lab.store.host_path(guest.path(2000)))
    (server,) = (
        pid for pid in servers(os.getpid()) if file in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(server, signal.SIGSTOP)
    del handle
    threading.Timer(locks.PATIENCE + 1, os.kill, (server, signal.SIGCONT)).start()
    wait(vm.PowerOnVM_Task())
    guest.write(2000, 0, b"A")


def test_a_second_writer_waits_outside(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])
    with opened(uri(lab, vm)), pytest.raises(nbd.Error), opened(uri(lab, vm)):
        pass
    with opened(uri(lab, vm)):
        pass


def test_a_snapshot_in_use_goes_and_leaves_work_behind(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])
    guest.write(2000, 0, b"A")
    a = client.snapshot(vm, "A")
    guest.write(2000, 0, b"B")
    b = client.snapshot(vm, "B")
    with opened(uri(lab, vm, b)) as reader:
        with pytest.raises(vim.fault.FileLocked):
            wait(a.RemoveSnapshot_Task(False))
        assert reader.pread(1, 0) == b"B"
    assert [node.name for node in vm.snapshot.rootSnapshotList] == ["B"]
    assert vm.runtime.consolidationNeeded
    wait(vm.ConsolidateVMDisks_Task())
    assert not vm.runtime.consolidationNeeded
    assert guest.read(2000, 0, 1, "B") == b"B"


def test_doors_follow_the_tree(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])

    def expected(*states: str, keys: Any = (2000,)) -> set[str]:
        return {f"{s}/{k}{x}.sock" for s in states for k in keys for x in ("", "-single")}

    assert sockets(lab, vm) == expected("current")
    a = client.snapshot(vm, "A")
    b = client.snapshot(vm, "B")
    assert sockets(lab, vm) == expected("current", a._moId, b._moId)
    reconfigure(vm, new_disk(MIB))
    assert sockets(lab, vm) == expected("current", a._moId, b._moId) | expected(
        "current", keys=[2001]
    )
    wait(a.RevertToSnapshot_Task())
    wait(b.RemoveSnapshot_Task(False))
    assert sockets(lab, vm) == expected("current", a._moId)
    name, folder, pool = vm.config.files.vmPathName, vm.parent, vm.resourcePool
    vm.UnregisterVM()
    assert sockets(lab, vm) == set()
    again = wait(folder.RegisterVM_Task(name, None, False, pool, None))
    assert len(sockets(lab, again)) == 4
    wait(again.Destroy_Task())
    assert sockets(lab, again) == set()


def test_a_removed_snapshot_has_no_door(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])
    a = client.snapshot(vm)
    address = uri(lab, vm, a)
    wait(a.RemoveSnapshot_Task(False))
    with pytest.raises(nbd.Error), opened(address):
        pass


def test_templates_are_read_only(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])
    vm.MarkAsTemplate()
    with opened(uri(lab, vm)) as handle:
        assert handle.is_read_only()


def test_sockets_of_a_lab_far_down(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with Lab(deep) as lab:
        guest = lab.create_vm("deep", [MIB])
        address = lab.nbd_uri.format(vm=guest.moref, snapshot="current", disk=2000)
        path = address.partition("socket=")[2]
        assert len(path) <= 107
        with opened(address) as handle:
            assert handle.get_size() == MIB
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(FileNotFoundError):
        probe.connect(path)
