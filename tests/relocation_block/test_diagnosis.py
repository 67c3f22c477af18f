# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What VDDK says is understood."""

from __future__ import annotations

import re
from typing import Optional

import pytest

from bareos_vmsnap.relocation_block import diagnosis
from bareos_vmsnap.relocation_block.answers import identity
from bareos_vmsnap.transport.disks import VddkDisk

DISK = VddkDisk(
    server="vc.example.org",
    port=443,
    user="backup@vsphere.local",
    password="secret",
    thumbprint="00" * 20,
    vm="vm-7",
    path="vm-7",
)


@pytest.mark.parametrize(
    ("line", "already"),
    [
        ("VMODL_TYPE_VIM_FAULT_METHOD_ALREADY_DISABLED_FAULT", True),
        ("vim.fault.MethodAlreadyDisabledFault: sourceId other", True),
        ("The method is already disabled by 'other'", True),
        ("VDDK: HostAgent is not a vCenter, cannot disable svmotion.", False),
        ("The file is already in use", False),
    ],
)
def test_who_is_refused_since_it_is_done_already(line: str, already: bool) -> None:
    assert diagnosis.already_disabled(["some line", line]) is already


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Insufficient permissions in the host operating system", "lacks a privilege .Global.Dis"),
        ("vim.fault.NoPermission: Global.DisableMethods", "lacks a privilege .Global.Dis"),
        ("Permission to perform this operation was denied", "lacks a privilege .Global.Dis"),
        ("Login failure. InvalidLogin. Insufficient permissions", "refused the login of backup"),
        ("Cannot connect to host", "vc.example.org or the ESXi host of the VM cannot be reached"),
        ("The virtual machine cannot be found", "does not know the VM vm-7"),
        ("SSL thumbprint mismatch", "is not the one this job verified"),
        ("Unknown error", None),
        ("VDDK: HostAgent is not a vCenter, cannot disable svmotion.", None),
    ],
)
def test_the_cause(line: str, message: Optional[str]) -> None:
    found = diagnosis.explain([f"VixDiskLib_PrepareForAccess: {line}"], DISK)
    if message is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(message, found.text), found


def test_an_identity_is_one_that_vmware_takes() -> None:
    assert identity("vm-7") == "bareos-vmsnap vm-7"
    assert len(identity("vm-" + "9" * 19)) <= 50
