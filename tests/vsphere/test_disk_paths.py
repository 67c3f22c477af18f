# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Where a disk's files are now, compared with where they were."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from bareos_vmsnap.vsphere import disk_paths, disks

Device = vim.vm.device
Backing = Device.VirtualDisk.FlatVer2BackingInfo


def devices(*files: str) -> list[Any]:
    """A controller with one disk, whose own file is the first."""
    backing = None
    for file in reversed(files):
        backing = Backing(fileName=file, diskMode="persistent", uuid="6000C29e", parent=backing)
    disk = Device.VirtualDisk(
        key=2000,
        controllerKey=1000,
        unitNumber=0,
        capacityInBytes=1 << 20,
        capacityInKB=1 << 10,
        backing=backing,
        deviceInfo=vim.Description(label="Hard disk 1", summary=""),
    )
    return [Device.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing"), disk]


def check(then: list[Any], now: list[Any], *, chains: bool) -> None:
    disk_paths.check("web1", now, disks.saved(then), chains=chains)


def test_files_that_stay() -> None:
    check(devices("[a] 2", "[a] 1"), devices("[a] 2", "[a] 1"), chains=True)


@pytest.mark.parametrize("chains", [False, True])
def test_another_file(chains: bool) -> None:
    with pytest.raises(disk_paths.DiskMovedError, match=r"\[a\] 2 is now \[b\] 2") as caught:
        check(devices("[a] 2", "[a] 1"), devices("[b] 2", "[b] 1"), chains=chains)
    assert caught.value.id == "disk-moved"


def test_a_file_below_that_was_merged() -> None:
    then, now = devices("[a] 3", "[a] 2", "[a] 1"), devices("[a] 3", "[a] 1")
    check(then, now, chains=False)
    with pytest.raises(disk_paths.DiskMovedError, match=r"Files below \[a\] 3") as caught:
        check(then, now, chains=True)
    assert caught.value.id == "disk-merged"


def test_the_words_about_deleted_snapshots() -> None:
    one = disk_paths.SnapshotDeletedError("web1", ["A"])
    assert one.what.startswith("The snapshot 'A' of VM web1 was deleted while")
    two = disk_paths.SnapshotDeletedError("web1", ["A", "B"])
    assert two.what.startswith("The snapshots 'A', 'B' of VM web1 were deleted while")
