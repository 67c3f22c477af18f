# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""PrepareForAccess and EndAccess, and what they do to RelocateVM_Task."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vim

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError, build

from .test_library import NOT_INITIALISED, Library, Params

PRIVILEGES = ("System.View", "System.Read", "Global.Licenses")


class Caller:
    """Calls both functions as somebody who may be wrong about something."""

    def __init__(self, lab: Lab, library: Library, guest: Guest) -> None:
        self._lab, self._library, self._vm = lab, library, guest.moref

    def __call__(self, name: str, identity: Optional[bytes] = b"us", **changed: Any) -> int:
        lab = self._lab
        fields = {
            "vm": f"moref={self._vm}",
            "server": lab.host,
            "thumbprint": lab.thumbprint,
            "user": lab.user,
            "password": lab.password,
            **changed,
        }
        text = {key: value and value.encode() for key, value in fields.items()}
        params = Params(
            *(text["vm"], text["server"], text["thumbprint"], 0, 1),
            *(text["user"], text["password"], None, lab.port, 0),
        )
        space = ctypes.create_string_buffer(bytes(params) + bytes(64))
        return self._library.call(name, space, identity)


@pytest.fixture
def library(lab: Lab) -> Iterator[Library]:
    made = Library(build.library())
    libdir = str(lab.vddk.libdir).encode()
    assert made.call("InitEx", 8, 0, None, None, None, libdir, None) == VixError.OK
    yield made
    made.call("Exit")
    lab.vddk.habits.reset()


@pytest.fixture
def call(lab: Lab, library: Library, guest: Guest) -> Caller:
    return Caller(lab, library, guest)


def relocate(lab: Lab, guest: Guest) -> None:
    content: Any = lab._client()
    vm = content.searchIndex.FindByUuid(None, guest.vm.live.instanceUuid, True, True)
    [store] = [each for each in vm.runtime.host.datastore if each.name == "datastore2"]
    WaitForTask(vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=store)))


def disabled(lab: Lab, guest: Guest) -> list[str]:
    content: Any = lab._client()
    vm = content.searchIndex.FindByUuid(None, guest.vm.live.instanceUuid, True, True)
    return list(vm.disabledMethod)


def test_a_vm_is_not_migrated_in_between(lab: Lab, call: Caller, guest: Guest) -> None:
    lab.vddk.calls.clear()
    assert call("PrepareForAccess") == VixError.OK
    assert disabled(lab, guest) == ["RelocateVM_Task"]
    with pytest.raises(vim.fault.MethodDisabled) as refused:
        relocate(lab, guest)
    assert refused.value.source == "us"
    assert call("EndAccess", b"somebody else") == VixError.OK
    assert disabled(lab, guest) == ["RelocateVM_Task"]
    assert call("EndAccess") == VixError.OK
    assert disabled(lab, guest) == []
    relocate(lab, guest)
    [prepared] = lab.vddk.named("PrepareForAccess")
    assert (prepared.arguments["identity"], prepared.arguments["password"]) == ("us", "***")
    assert call("EndAccess") == VixError.OK, "it cleans up, even if there is nothing"


@pytest.mark.parametrize("one", [True, False])
def test_who_holds_it_already(lab: Lab, call: Caller, guest: Guest, one: bool) -> None:
    lab.vddk.habits.one_holder = one
    assert call("PrepareForAccess") == VixError.OK
    assert call("PrepareForAccess") == VixError.FAIL
    assert call("PrepareForAccess", b"them") == (VixError.FAIL if one else VixError.OK)
    assert guest.vm.migration_disabled_by == (["us"] if one else ["us", "them"])


@pytest.mark.parametrize(
    ("identity", "changed", "error"),
    [
        (b"i" * 50, {}, VixError.OK),
        (b"i" * 51, {}, VixError.INVALID_ARG),
        (None, {}, VixError.INVALID_ARG),
        (b"us", {"vm": None}, VixError.INVALID_ARG),
        (b"us", {"server": None}, VixError.INVALID_ARG),
        (b"us", {"password": "wrong"}, VixError.HOST_USER_PERMISSIONS),
        (b"us", {"thumbprint": "00" * 20}, VixError.FAIL),
        (b"us", {"thumbprint": None}, VixError.FAIL),
        (b"us", {"vm": "moref=vm-999"}, VixError.VM_NOT_FOUND),
        (b"us", {"server": "192.0.2.1"}, VixError.HOST_SERVER_NOT_FOUND),
    ],
)
def test_what_is_refused(
    call: Caller, guest: Guest, identity: Optional[bytes], changed: dict[str, Any], error: int
) -> None:
    assert call("PrepareForAccess", identity, **changed) == error
    assert bool(guest.vm.migration_disabled_by) == (error == VixError.OK)
    assert call("EndAccess", identity, **changed) == error


@pytest.mark.parametrize(
    ("granted", "prepared", "ended"),
    [
        (PRIVILEGES, False, False),
        ((*PRIVILEGES, "Global.DisableMethods"), True, False),
        ((*PRIVILEGES, "Global.EnableMethods"), False, True),
        ((*PRIVILEGES[:2], "Global.DisableMethods", "Global.EnableMethods"), False, False),
    ],
)
def test_privileges(
    lab: Lab, call: Caller, granted: tuple[str, ...], prepared: bool, ended: bool
) -> None:
    name = f"backup {granted[2:]}"
    lab.vcenter.add_user(name, "secret", granted)
    who: dict[str, Any] = {"user": name, "password": "secret"}
    refused = VixError.HOST_USER_PERMISSIONS
    assert call("PrepareForAccess", **who) == (VixError.OK if prepared else refused)
    assert call("EndAccess", **who) == (VixError.OK if ended else refused)


def test_not_on_a_host_itself(tmp_path: Path, library: Library) -> None:
    library.call("Exit")
    with Lab(tmp_path, flavour="esxi") as host:
        guest = host.create_vm("alone", [1 << 20])
        libdir = str(host.vddk.libdir).encode()
        assert library.call("InitEx", 8, 0, None, None, None, libdir, None) == VixError.OK
        assert Caller(host, library, guest)("PrepareForAccess") == VixError.NOT_SUPPORTED
        assert guest.vm.migration_disabled_by == []
        library.call("Exit")


def test_only_once_it_is_initialised(library: Library, call: Caller) -> None:
    library.call("Exit")
    assert call("PrepareForAccess") == NOT_INITIALISED
    assert call("EndAccess") == NOT_INITIALISED


def test_a_failure_to_come(lab: Lab, call: Caller) -> None:
    lab.vddk.habits.fail("PrepareForAccess", VixError.HOST_TCP_CONN_LOST)
    lab.vddk.habits.fail("EndAccess", VixError.FAIL)
    assert call("PrepareForAccess") == VixError.HOST_TCP_CONN_LOST
    assert call("EndAccess") == VixError.FAIL
    assert call("PrepareForAccess") == VixError.OK


def test_not_while_it_is_being_migrated(lab: Lab, call: Caller, guest: Guest) -> None:
    lab.habits.task_seconds_of["RelocateVM_Task"] = 4  # longer than the call that is to find it
    content: Any = lab._client()
    vm = content.searchIndex.FindByUuid(None, guest.vm.live.instanceUuid, True, True)
    [store] = [each for each in vm.runtime.host.datastore if each.name == "datastore2"]
    task = vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=store))
    assert call("PrepareForAccess") == VixError.FAIL
    WaitForTask(task)
    del lab.habits.task_seconds_of["RelocateVM_Task"]
    assert call("PrepareForAccess") == VixError.OK


def test_a_library_without_them(tmp_path: Path) -> None:
    with Lab(tmp_path) as other:
        other.vddk.leave_access_out()
        [path] = (other.vddk.libdir / "lib64").iterdir()
        library = ctypes.CDLL(str(path))
        assert not hasattr(library, "VixDiskLib_PrepareForAccess")
        assert not hasattr(library, "VixDiskLib_EndAccess")
        assert hasattr(library, "VixDiskLib_Open")
