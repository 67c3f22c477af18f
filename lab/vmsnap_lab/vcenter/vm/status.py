# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a VM shows of itself besides its configuration."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter.vm import buses, layout, nics, power
from vmsnap_lab.vcenter.vm.machine import Machine


def capability(vm: Machine) -> Any:
    return vim.vm.Capability(
        snapshotOperationsSupported=not vm.live.template,
        multipleSnapshotsSupported=True,
        snapshotConfigSupported=True,
        poweredOffSnapshotsSupported=True,
        memorySnapshotsSupported=True,
        revertToSnapshotSupported=True,
        quiescedSnapshotsSupported=True,
        disableSnapshotsSupported=False,
        lockSnapshotsSupported=False,
        bootOptionsSupported=True,
        diskSharesSupported=True,
        multipleCoresPerSocketSupported=True,
        changeTrackingSupported=vm.vcenter.habits.change_tracking_supported,
        secureBootSupported=True,
        seSparseDiskSupported=True,
        diskOnlySnapshotOnSuspendedVMSupported=False,
    )


def runtime(vm: Machine) -> Any:
    return vim.vm.RuntimeInfo(
        host=vm.host.ref,
        connectionState="connected",
        powerState=vm.powerState,
        faultToleranceState="notConfigured",
        toolsInstallerMounted=False,
        bootTime=vm.boot_time,
        numMksConnections=0,
        recordReplayState="inactive",
        onlineStandby=False,
        consolidationNeeded=vm.needs_consolidation,
        maxCpuUsage=2600 * vm.live.hardware.numCPU,
        maxMemoryUsage=vm.live.hardware.memoryMB,
    )


def guest(vm: Machine) -> Any:
    running = vm.powerState == power.ON
    return vim.vm.GuestInfo(
        toolsStatus="toolsOk" if running else "toolsNotRunning",
        toolsVersionStatus2="guestToolsUnmanaged",
        toolsRunningStatus="guestToolsRunning" if running else "guestToolsNotRunning",
        toolsVersion="12352",
        guestState="running" if running else "notRunning",
        guestOperationsReady=False,
    )


def summary(vm: Machine) -> Any:
    live = vm.live
    devices = live.hardware.device
    storage = layout.storage(vm)
    usage = storage.perDatastoreUsage
    shown_guest = guest(vm)
    return vim.vm.Summary(
        vm=vm.ref,
        runtime=runtime(vm),
        guest=vim.vm.Summary.GuestSummary(
            guestId=live.guestId,
            guestFullName=live.guestFullName,
            toolsStatus=shown_guest.toolsStatus,
            toolsRunningStatus=shown_guest.toolsRunningStatus,
        ),
        config=vim.vm.Summary.ConfigSummary(
            name=vm.name,
            template=live.template,
            vmPathName=live.files.vmPathName,
            memorySizeMB=live.hardware.memoryMB,
            numCpu=live.hardware.numCPU,
            numEthernetCards=sum(nics.is_nic(device) for device in devices),
            numVirtualDisks=len(buses.disks(devices)),
            uuid=live.uuid,
            instanceUuid=live.instanceUuid,
            guestId=live.guestId,
            guestFullName=live.guestFullName,
            annotation=live.annotation,
            hwVersion=live.version,
        ),
        storage=vim.vm.Summary.StorageSummary(
            committed=sum(known.committed for known in usage),
            uncommitted=sum(known.uncommitted for known in usage),
            unshared=sum(known.unshared for known in usage),
            timestamp=storage.timestamp,
        ),
        quickStats=vim.vm.Summary.QuickStats(guestHeartbeatStatus=vm.guestHeartbeatStatus),
        overallStatus=vm.overallStatus,
    )
