# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""On a library that has nothing in common with the lab's but the interface."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from bareos_vmsnap.relocation_block.answers import FAILED, Answer

from .conftest import SECRET, Vm

SOURCE = Path(__file__).parent / "other_vddk.c"


def build(folder: Path, *options: str) -> str:
    library = folder / "libvixDiskLib.so.7"
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *options]
    subprocess.run([*command, "-o", str(library), str(SOURCE)], check=True)
    return str(folder)


def test_it_gets_what_it_needs(vm: Vm, tmp_path: Path) -> None:
    changed: dict[str, Any] = {
        "libdir": build(tmp_path),
        "server": "vc.example.org",
        "port": 8443,
        "user": "böse",
    }
    block = vm.block(**changed)
    answer = block.wait()
    assert block.release() == ""
    assert answer == Answer(
        FAILED, "VixDiskLib_PrepareForAccess: Ninety-nine (99)", id="relocation-call-failed"
    )
    text = vm.log.read_text()
    digest = vm.disk().thumbprint.upper()
    arguments = (
        f"moref={vm.moref} vc.example.org {digest} 8443 böse … for bareos-vmsnap {vm.moref}\n"
    )
    assert arguments in text
    assert "error: a line of 3 numbers: 1099511627776 0.5 c\n" in text
    assert "EndAccess" not in text, "nothing was begun, and nobody said that it was already"
    assert "exited" in text
    assert SECRET not in text


def test_a_vm_that_is_held_already_as_vcenter_says(vm: Vm, tmp_path: Path) -> None:
    block = vm.block(disabled=True, libdir=build(tmp_path))
    assert (block.wait().outcome, block.release()) == ("others", "")
    assert f"EndAccess moref={vm.moref} bareos-vmsnap {vm.moref}\n" in vm.log.read_text()


def test_it_crashes(vm: Vm, tmp_path: Path) -> None:
    block = vm.block(libdir=build(tmp_path, "-DCRASH"))
    answer = block.wait()
    assert block.release() == ""
    assert answer == Answer(
        FAILED, "its process ended early (killed by SIGABRT)", id="block-process-ended"
    )
