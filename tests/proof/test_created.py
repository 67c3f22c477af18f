# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

from pyVmomi import vim

from tests.proof.world import World


def test_on_request_descriptions_tell_when_snapshots_were_taken() -> None:
    with World(disks=1) as world:
        world.snapshot("a")
        taken = world.vm.snapshot.rootSnapshotList[0].createTime
        world.backup("Full")
        options = "python3:vmname=dated:restore_created=yes"
        assert world.daemon.restore(None, name="proof0", plugin_options=options).status == "T"
        vm = vim.VirtualMachine(world.lab.guest("dated").moref, world.vm._stub)
        assert vm.snapshot is not None
        (root,) = vm.snapshot.rootSnapshotList
        assert root.name == "a"
        assert root.description == f"number 1\nTaken {taken.isoformat()}"
