# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Datastore paths of a VM's plain files."""

from __future__ import annotations

from typing import Any

from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.vm.config import option


def base_of(vmx_path: str) -> str:
    """`vm` for `[datastore1] vm/vm.vmx`."""
    return datastore_files.name_of(vmx_path).rpartition(".")[0]


def sibling(vmx_path: str, suffix: str) -> str:
    """A file beside the configuration file: `[datastore1] vm/vm.nvram` for `.nvram`."""
    return vmx_path.rpartition(".")[0] + suffix


def nvram_path(config: Any) -> str:
    folder = datastore_files.folder_of(config.files.vmPathName)
    return f"{folder}/{option(config, 'nvram')}"


def snapshot_data_path(config: Any, number: int) -> str:
    """The file of a snapshot, by the snapshot's number."""
    return sibling(config.files.vmPathName, f"-Snapshot{number}.vmsn")
