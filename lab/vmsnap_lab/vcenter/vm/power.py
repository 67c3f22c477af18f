# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Power states of a VM."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim, vmodl

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.vm import buses, cbt_setting, locks
from vmsnap_lab.vcenter.vm.machine import POWERED_OFF, Machine

ON, OFF, SUSPENDED = "poweredOn", POWERED_OFF, "suspended"

_EVENTS = {
    ON: (vim.event.VmPoweredOnEvent, "is powered on"),
    OFF: (vim.event.VmPoweredOffEvent, "is powered off"),
    SUSPENDED: (vim.event.VmSuspendedEvent, "is suspended"),
}


def check(vm: Machine, *allowed: str, requested: str = "") -> None:
    """Raises InvalidPowerState unless the VM is in one of the states."""
    if vm.powerState not in allowed:
        raise vim.fault.InvalidPowerState(
            existingState=vm.powerState,
            requestedState=requested or allowed[0],
            msg="The attempted operation cannot be performed in the current state "
            f"({vm.powerState}).",
        )


def power_on(vm: Machine, *, user: str) -> None:
    """Raises InvalidPowerState, NotSupported (template), FileNotFound, FileLocked."""
    check(vm, OFF, SUSPENDED, requested=ON)
    locks.check_closed(vm, [disk.backing.fileName for disk in buses.disks(vm.live.hardware.device)])
    with vm.vcenter.lock:
        if vm.live.template:
            raise vmodl.fault.NotSupported(msg=f"{vm.name} is a template")
        check(vm, OFF, SUSPENDED, requested=ON)
        for disk in buses.disks(vm.live.hardware.device):
            if not vm.vcenter.store.exists(disk.backing.fileName):
                raise faults.not_found(disk.backing.fileName)
        cbt_setting.apply(vm)
        settle(vm, ON, user=user)


def power_off(vm: Machine, *, user: str) -> None:
    with vm.vcenter.lock:
        check(vm, ON, SUSPENDED, requested=OFF)
        settle(vm, OFF, user=user)


def crash(vm: Machine) -> None:
    """Off, as its host's power failed. Raises InvalidPowerState."""
    with vm.vcenter.lock:
        check(vm, ON, SUSPENDED, requested=OFF)
        leaves = vm.vcenter.habits.crash_leaves if vm.vcenter.is_vcenter else "nothing"
        if leaves != "nothing":
            _post(vm, vim.event.VmDisconnectedEvent(template=False), "is disconnected")
        settle(vm, OFF, user="")
        if leaves == "restarted":
            host = vim.event.HostEventArgument(name=vm.host.name, host=vm.host.ref)
            event = vim.event.VmRestartedOnAlternateHostEvent(template=False, sourceHost=host)
            _post(vm, event, "was restarted by vSphere HA")


def _post(vm: Machine, event: Any, text: str) -> None:
    vm.vcenter.events.post(event, f"{vm.name} {text}", entity=vm)


def suspend(vm: Machine, *, user: str) -> None:
    with vm.vcenter.lock:
        check(vm, ON, requested=SUSPENDED)
        settle(vm, SUSPENDED, user=user)


def reset(vm: Machine, *, user: str) -> None:
    with vm.vcenter.lock:
        check(vm, ON)
        vm.boot_time = vm.vcenter.now()
        vm.vcenter.events.post(
            vim.event.VmResettingEvent(template=False),
            f"{vm.name} is reset",
            user=user,
            entity=vm,
        )


def settle(vm: Machine, state: str, *, user: str) -> Any:
    """Enter a power state and log it; no checks."""
    vm.powerState = state
    vm.boot_time = vm.vcenter.now() if state == ON else None
    kind, text = _EVENTS[state]
    vm.vcenter.events.post(kind(template=False), f"{vm.name} {text}", user=user, entity=vm)
