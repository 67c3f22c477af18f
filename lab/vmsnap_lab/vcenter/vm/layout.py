# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The files of a VM as `layoutEx`, `layout` and `storage` list them."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.vm import buses, file_paths
from vmsnap_lab.vcenter.vm.machine import Machine

Layout = vim.vm.FileLayoutEx
_NO_MEMORY = -1  # key of the memory file of a snapshot without memory


class _Files:
    """Numbers files in the order of their use; each is listed once."""

    def __init__(self, vm: Machine) -> None:
        self._vm = vm
        self._keys: dict[str, int] = {}
        self.entries: list[Any] = []

    def plain(self, path: str, kind: str) -> int:
        known = self._keys.get(path)
        if known is not None:
            return known
        exists = self._vm.vcenter.files.exists(path)
        size = self._vm.vcenter.files.host_path(path).stat().st_size if exists else 0
        return self._add(path, kind, size)

    def disk(self, path: str) -> list[int]:
        """The descriptor and the data of one disk file."""
        extent = path.rpartition(".")[0] + "-flat.vmdk"
        if path in self._keys:
            return [self._keys[path], self._keys[extent]]
        store = self._vm.vcenter.store
        size = store.size_on_datastore(path) if store.exists(path) else 0
        return [self._add(path, "diskDescriptor", 0), self._add(extent, "diskExtent", size)]

    def _add(self, path: str, kind: str, size: int) -> int:
        key = self._keys[path] = len(self._keys)
        self.entries.append(
            Layout.FileInfo(
                key=key, name=path, type=kind, size=size, uniqueSize=size, accessible=True
            )
        )
        return key


def layout_ex(vm: Machine) -> Any:
    listed = _Files(vm)
    path = vm.live.files.vmPathName
    listed.plain(path, "config")
    listed.plain(file_paths.nvram_path(vm.live), "nvram")
    listed.plain(file_paths.sibling(path, ".vmsd"), "snapshotList")
    listed.plain(file_paths.sibling(path, ".vmxf"), "extendedConfig")
    disks = _disks(vm, vm.live, listed)
    snapshots = [
        Layout.SnapshotLayout(
            key=snapshot.ref,
            dataKey=listed.plain(
                file_paths.snapshot_data_path(vm.live, snapshot.id), "snapshotData"
            ),
            memoryKey=_NO_MEMORY,
            disk=_disks(vm, snapshot.frozen, listed),
        )
        for snapshot in vm.tree.all()
    ]
    return Layout(file=listed.entries, disk=disks, snapshot=snapshots, timestamp=vm.vcenter.now())


def _disks(vm: Machine, config: Any, listed: _Files) -> list[Any]:
    """The chains of a configuration's disks, base first."""
    return [
        Layout.DiskLayout(
            key=disk.key,
            chain=[
                Layout.DiskUnit(fileKey=listed.disk(path))
                for path in reversed(_chain(vm, disk.backing.fileName))
            ],
        )
        for disk in buses.disks(config.hardware.device)
    ]


def _chain(vm: Machine, path: str) -> list[str]:
    store = vm.vcenter.store
    return store.chain(path) if store.exists(path) else [path]


def layout(vm: Machine) -> Any:
    """The older form, without sizes."""
    path = vm.live.files.vmPathName
    return vim.vm.FileLayout(
        configFile=[
            datastore_files.name_of(file_paths.sibling(path, suffix))
            for suffix in (".vmx", ".vmsd", ".vmxf")
        ],
        logFile=[],
        disk=[
            vim.vm.FileLayout.DiskLayout(
                key=disk.key, diskFile=_chain(vm, disk.backing.fileName)[::-1]
            )
            for disk in buses.disks(vm.live.hardware.device)
        ],
        snapshot=[
            vim.vm.FileLayout.SnapshotLayout(
                key=snapshot.ref, snapshotFile=[file_paths.snapshot_data_path(vm.live, snapshot.id)]
            )
            for snapshot in vm.tree.all()
        ],
    )


def storage(vm: Machine) -> Any:
    """Space taken and still to be taken, per datastore."""
    taken: dict[str, int] = {}
    for path in vm.disk_files:
        if vm.vcenter.store.exists(path):
            name = datastore_files.split(path)[0]
            taken[name] = taken.get(name, 0) + vm.vcenter.store.size_on_datastore(path)
    provisioned: dict[str, int] = {}
    for disk in buses.disks(vm.live.hardware.device):
        name = datastore_files.split(disk.backing.fileName)[0]
        provisioned[name] = provisioned.get(name, 0) + disk.capacityInBytes
    usage = [
        vim.vm.StorageInfo.UsageOnDatastore(
            datastore=datastore.ref,
            committed=taken.get(datastore.name, 0),
            uncommitted=max(0, provisioned.get(datastore.name, 0) - taken.get(datastore.name, 0)),
            unshared=taken.get(datastore.name, 0),
        )
        for datastore in vm.datastore
    ]
    return vim.vm.StorageInfo(perDatastoreUsage=usage, timestamp=vm.vcenter.now())
