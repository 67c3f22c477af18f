# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The disks of a VM's snapshots, as a backup queries and reads them."""

from __future__ import annotations

import threading
from typing import Any

from pyVmomi import vim

from bareos_vmsnap import method_names
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.method_names import Method
from bareos_vmsnap.mover.client import Launcher
from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.transport.access import Access, DiskAddress
from bareos_vmsnap.transport.disks import DiskDescription
from bareos_vmsnap.tree.segment_header import Disk, SegmentHeader
from bareos_vmsnap.vsphere import cbt
from bareos_vmsnap.vsphere.session import Session


class DiskReader:
    """Queries and reads the disks of one VM. Snapshots are named by their morefs."""

    def __init__(
        self,
        session: Session,
        vm: Any,
        access: Access,
        options: Options,
        cancel: threading.Event,
        launcher: Launcher,
    ) -> None:
        self.options = options
        self.launcher = launcher
        self.cancel = cancel
        self.canceled = cancel.is_set
        self.opens_single_links = access.opens_single_links
        self._session = session
        self._vm = vm
        self._access = access
        self._hosts: dict[str, str] = {}
        # By snapshot, key of the disk and change id.
        self._answers: dict[tuple[str, int, str], cbt.Extents] = {}

    def describe(self, snapshot: str, disk: Disk, *, single_link: bool = False) -> DiskDescription:
        """The disk as a mover opens it; with `single_link` without its parents."""
        address = DiskAddress(
            self._vm._moId, disk.key, disk.path, snapshot, self._host(), single_link
        )
        return self._access.describe(address)

    def changed_areas(self, snapshot: str, disk: Disk, change_id: str) -> cbt.Extents:
        """What changed since a change id. Raises cbt.CbtRefusedError, errors.Canceled."""
        known = self._answers.pop((snapshot, disk.key, change_id), None)
        if known is not None:
            return known
        managed = self._session.managed(vim.vm.Snapshot, snapshot)
        return cbt.changed_areas(self._vm, managed, disk.key, disk.capacity, change_id, self.cancel)

    def ask_ahead(self, snapshot: str, disk: Disk, change_id: str) -> None:
        """Ask now what the next changed_areas() with these arguments returns. Raises the same."""
        answer = self.changed_areas(snapshot, disk, change_id)
        self._answers[snapshot, disk.key, change_id] = answer

    def plan(self, snapshot: str, disk: Disk, header: SegmentHeader, method: Method) -> ReadPlan:
        """A plan to read the disk as the options say, without a base."""
        options = self.options
        return ReadPlan(
            source=self.describe(snapshot, disk),
            header=header,
            capacity=disk.capacity,
            method=method,
            keep_zeros=method != method_names.ALLOCATED,
            compression=options.compression,
            lz4_acceleration=options.lz4_acceleration,
            connections=options.connections,
            requests_in_flight=options.requests_in_flight,
            request_size=options.request_size,
            rate_limit=options.rate_limit,
        )

    def _host(self) -> str:
        """The name of the host the VM is on, which may change while a job runs."""
        host = self._vm.runtime.host
        if host is None:
            return ""
        if host._moId not in self._hosts:
            self._hosts[host._moId] = host.name
        return self._hosts[host._moId]
