# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Storage vMotion, as a user or Storage DRS has it done."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from .machine import Machine
from .site import Site


def migrate(site: Site, machine: Machine, datastore: str) -> Any:
    """Start moving the VM's files there; the task."""
    content = site.client.content
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.Datastore], True)
    [store] = [each for each in view.view if each.name == datastore]
    return machine.vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=store))
