# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VirtualMachine.disabledMethod in the forms in which pyVmomi hands it out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import VmomiSupport, vim

from bareos_vmsnap.vsphere import disk_paths


@pytest.mark.parametrize(
    ("disabled", "held"),
    [
        (["PowerOnVM_Task", "RelocateVM_Task"], True),
        ([vim.VirtualMachine.PowerOn, vim.VirtualMachine.Relocate], True),
        (["PowerOnVM_Task"], False),
        ([vim.VirtualMachine.PowerOn], False),
        ([VmomiSupport.UnknownManagedMethod("Later_Task")], False),
        ([], False),
    ],
)
def test_whether_it_is_migrated(disabled: list[Any], held: bool) -> None:
    assert disk_paths.relocation_disabled(SimpleNamespace(disabledMethod=disabled)) is held
