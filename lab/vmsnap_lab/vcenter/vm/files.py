# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The plain files of a VM: configuration, NVRAM, snapshot data."""

from __future__ import annotations

import hashlib
from typing import Any, Optional

from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.vm import buses, file_paths
from vmsnap_lab.vcenter.vm.machine import Machine

BIOS_NVRAM_SIZE, EFI_NVRAM_SIZE = 8684, 270840  # bytes, as ESXi makes them


def new_nvram(seed: str, firmware: str) -> bytes:
    """The content of a fresh NVRAM file: of the right size, and like no other's."""
    size = EFI_NVRAM_SIZE if firmware == "efi" else BIOS_NVRAM_SIZE
    return b"MRVN" + hashlib.shake_128(seed.encode()).digest(size - 4)


def read_nvram(vm: Machine) -> Optional[bytes]:
    """None if the file was deleted."""
    path = file_paths.nvram_path(vm.live)
    return vm.vcenter.files.read(path) if vm.vcenter.files.exists(path) else None


def write_config(vm: Machine) -> None:
    """The .vmx, .vmsd and .vmxf files. Nothing reads them back: see `vm.registration`."""
    config = vm.live
    path = config.files.vmPathName
    vm.vcenter.files.write(path, "\n".join([*_vmx_lines(config), ""]).encode())
    vm.vcenter.files.write(
        file_paths.sibling(path, ".vmxf"), b'<?xml version="1.0"?>\n<Foundry/>\n'
    )
    write_snapshot_list(vm)


def write_snapshot_list(vm: Machine) -> None:
    snapshots = vm.tree.all()
    lines = ['.encoding = "UTF-8"', f'snapshot.numSnapshots = "{len(snapshots)}"']
    if vm.tree.current is not None:
        lines.append(f'snapshot.current = "{vm.tree.current.id}"')
    for number, snapshot in enumerate(snapshots):
        lines.append(f'snapshot{number}.uid = "{snapshot.id}"')
        lines.append(f'snapshot{number}.displayName = "{_quoted(snapshot.name)}"')
        if snapshot.parent is not None:
            lines.append(f'snapshot{number}.parent = "{snapshot.parent.id}"')
    path = file_paths.sibling(vm.live.files.vmPathName, ".vmsd")
    vm.vcenter.files.write(path, "\n".join([*lines, ""]).encode())


def plain_names(vm: Machine) -> list[str]:
    """The names of the VM's plain files, those of its snapshots included."""
    path = vm.live.files.vmPathName
    paths = [path, file_paths.nvram_path(vm.live)]
    paths += [file_paths.sibling(path, suffix) for suffix in (".vmsd", ".vmxf")]
    paths += [file_paths.snapshot_data_path(vm.live, snapshot.id) for snapshot in vm.tree.all()]
    return [datastore_files.name_of(known) for known in paths]


def _vmx_lines(config: Any) -> list[str]:
    lines = [
        '.encoding = "UTF-8"',
        'config.version = "8"',
        f'virtualHW.version = "{int(config.version.partition("-")[2])}"',
        f'displayName = "{_quoted(config.name)}"',
        f'annotation = "{_quoted(config.annotation or "")}"',
        f'guestOS = "{config.guestId}"',
        f'firmware = "{config.firmware}"',
        f'numvcpus = "{config.hardware.numCPU}"',
        f'memSize = "{config.hardware.memoryMB}"',
        f'uuid.bios = "{config.uuid}"',
        f'vc.uuid = "{config.instanceUuid}"',
    ]
    for device in buses.disks(config.hardware.device):
        slot = buses.slot(config.hardware.device, device)
        lines.append(f'{slot}.present = "TRUE"')
        name = datastore_files.name_of(device.backing.fileName)
        lines.append(f'{slot}.fileName = "{_quoted(name)}"')
    lines += [f'{known.key} = "{_quoted(str(known.value))}"' for known in config.extraConfig]
    return lines


def _quoted(text: str) -> str:
    """Text as the configuration file writes it: `|22` for a quotation mark."""
    return "".join(f"|{ord(char):02X}" if char in '|"\n\r' else char for char in text)
