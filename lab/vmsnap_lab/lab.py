# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The lab: a simulated vCenter with its storage, started and stopped as one thing."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from pyVim import connect, task
from pyVmomi import vim

from vmsnap_lab.guest import Guest
from vmsnap_lab.storage import DiskStore
from vmsnap_lab.vcenter import certificates
from vmsnap_lab.vcenter.habits import Habits
from vmsnap_lab.vcenter.inventory import build
from vmsnap_lab.vcenter.registry import moid_of
from vmsnap_lab.vcenter.vcenter import VCenter
from vmsnap_lab.vcenter.web.server import WebServer
from vmsnap_lab.vddk.login import Address
from vmsnap_lab.vddk.vddk import Vddk

USERS = {"vcenter": "administrator@vsphere.local", "esxi": "root"}
# What the kernel allows for the path of a socket, and what doors need below their folder.
LONGEST_SOCKET_PATH, DOOR_LENGTH = 107, 60
DISK_SIZE = 16 << 20


class Lab:
    """A context manager; everything it started ends with it.

    host, port: where the vCenter listens, with TLS. ca_file: PEM file that verifies it;
    thumbprint: SHA-1 of its certificate. user, password: an administrator. nbd_uri: template
    of the NBD URI of a disk, with `{vm}`, `{snapshot}` (an id, or "current") and `{disk}` (the
    device's key); nbd_link_uri: the same for a disk's own file without its parents.
    vddk: the same disks for nbdkit's vddk plugin; started when first used.
    habits: how the vCenter behaves; may be changed at any time. store: the storage.
    vcenter: the models, for tests that look or change things without the API.
    """

    def __init__(
        self,
        directory: Path,
        *,
        habits: Optional[Habits] = None,
        datastores: Sequence[str] = ("datastore1", "datastore2"),
        flavour: str = "vcenter",
        port: int = 0,
    ) -> None:
        """`directory` is made if it does not exist.

        Raises ValueError for an unknown flavour, OSError if the port is taken.
        """
        if flavour not in USERS:
            raise ValueError(f"flavour must be one of {', '.join(USERS)}, not {flavour!r}")
        directory = directory.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        self.habits = habits or Habits()
        self.user = USERS[flavour]
        self.password = secrets.token_urlsafe(16)
        with contextlib.ExitStack() as stack:
            doors = stack.enter_context(_doors_folder(directory))
            self.store = DiskStore(
                directory / "datastores",
                build.datastore_names(flavour, datastores),
                self.habits.cbt,
                self.habits.files,
            )
            stack.callback(self.store.close)
            self.vcenter = VCenter(
                self.store, doors, habits=self.habits, datastores=datastores, flavour=flavour
            )
            stack.callback(self.vcenter.close)
            self.vcenter.add_user(self.user, self.password)
            made = certificates.ensure(directory / "tls")
            self.ca_file, self.thumbprint = made.ca, made.thumbprint
            self.server = WebServer(self.vcenter, made.server_context(), port)
            stack.callback(self.server.stop)
            self.server.start()
            self._stack = stack.pop_all()
        self.host = self.server.host
        self._directory, self._doors = directory, doors
        self._vddk: Optional[Vddk] = None
        socket = f"{doors}/{{vm}}/{{snapshot}}/{{disk}}"
        self.nbd_uri = f"nbd+unix:///?socket={socket}.sock"
        self.nbd_link_uri = f"nbd+unix:///?socket={socket}-single.sock"
        self._connection: Optional[Any] = None

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def vddk(self) -> Vddk:
        """Raises BuildError if the library cannot be built."""
        if self._vddk is None:
            address = Address(self.host, self.port, self.thumbprint)
            self._vddk = Vddk(
                self.vcenter, self.store, address, self._directory / "vddk", self._doors / "vddk"
            )
            self._stack.callback(self._vddk.close)
        return self._vddk

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        """A second call does nothing."""
        self._stack.close()

    # As a client

    def tls_context(self) -> ssl.SSLContext:
        """Verifies the vCenter's certificate and name."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def connect(self, user: Optional[str] = None, password: Optional[str] = None) -> Any:
        """A pyVmomi ServiceInstance, logged in."""
        return connect.SmartConnect(
            host=self.host,
            port=self.port,
            user=user or self.user,
            pwd=self.password if password is None else password,
            sslContext=self.tls_context(),
        )

    def create_vm(
        self,
        name: str,
        disks: Sequence[int] = (DISK_SIZE,),
        *,
        cpus: int = 1,
        memory_mb: int = 256,
        folder: Optional[str] = None,
        pool: Optional[str] = None,
        datastore: Optional[str] = None,
        network: Optional[str] = "VM Network",
        cbt: bool = True,
        powered_on: bool = False,
    ) -> Guest:
        """A VM with disks of these capacities (bytes) on a SCSI controller, made through the API.

        folder, pool: inventory paths. Without a path it is the first one.
        """
        content = self._client()
        first = self.vcenter.datacenters()[0]
        folder = folder or f"{first.name}/vm"
        datastore = datastore or first.datastore[0].name
        place = content.searchIndex.FindByInventoryPath(folder)
        if place is None:
            raise ValueError(f"there is no folder {folder}")
        spec = vim.vm.ConfigSpec(
            name=name,
            numCPUs=cpus,
            memoryMB=memory_mb,
            guestId="debian12_64Guest",
            files=vim.vm.FileInfo(vmPathName=f"[{datastore}]"),
            changeTrackingEnabled=cbt,
            deviceChange=[*_disk_changes(disks), *_nic_changes(network)],
        )
        made = place.CreateVM_Task(spec, self._pool(content, pool, folder))
        task.WaitForTask(made)
        guest = self.guest(moid_of(made.info.result))
        if powered_on:
            guest.power_on()
        return guest

    def guest(self, name_or_moid: str) -> Guest:
        """The guest of a VM, by the VM's name or id. Raises KeyError."""
        for vm in self.vcenter.vms():
            if name_or_moid in (vm.moid, vm.name):
                return Guest(vm)
        raise KeyError(name_or_moid)

    def _client(self) -> Any:
        if (
            self._connection is None
            or self._connection.content.sessionManager.currentSession is None
        ):
            self._connection = self.connect()
        return self._connection.content

    def _pool(self, content: Any, path: Optional[str], folder: str) -> Any:
        if path is not None:
            return content.searchIndex.FindByInventoryPath(path)
        datacenter = folder.split("/vm")[0]
        hosts = content.searchIndex.FindByInventoryPath(f"{datacenter}/host")
        return hosts.childEntity[0].resourcePool


@contextlib.contextmanager
def _doors_folder(directory: Path) -> Any:
    """The folder for sockets: outside of the lab's if the lab's path is too long for them."""
    folder = directory / "doors"
    if len(os.fsencode(folder)) + DOOR_LENGTH <= LONGEST_SOCKET_PATH:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with tempfile.TemporaryDirectory(prefix="vmsnap-doors-", dir="/tmp") as made:
            yield Path(made)


def _disk_changes(disks: Sequence[int]) -> list[Any]:
    controller = vim.vm.device.VirtualDeviceSpec(
        operation="add",
        device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing"),
    )
    changes = [
        vim.vm.device.VirtualDeviceSpec(
            operation="add",
            fileOperation="create",
            device=vim.vm.device.VirtualDisk(
                key=-10 - number,
                controllerKey=-1,
                unitNumber=number if number < 7 else number + 1,
                capacityInBytes=capacity,
                capacityInKB=capacity // 1024,
                backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                    fileName="", diskMode="persistent", thinProvisioned=True
                ),
            ),
        )
        for number, capacity in enumerate(disks)
    ]
    return [controller, *changes] if changes else []


def _nic_changes(network: Optional[str]) -> list[Any]:
    if network is None:
        return []
    backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=network)
    card = vim.vm.device.VirtualVmxnet3(key=-100, backing=backing, addressType="generated")
    return [vim.vm.device.VirtualDeviceSpec(operation="add", device=card)]
