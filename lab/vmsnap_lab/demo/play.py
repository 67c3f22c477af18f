# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The demo: what happens, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyVim.task import WaitForTask
from pyVmomi import vim

from vmsnap_lab import plugin_options
from vmsnap_lab.demo import fingerprints
from vmsnap_lab.demo.scenario import NAME, SNAPSHOTS, Scenario
from vmsnap_lab.demo.show import Show
from vmsnap_lab.filedaemon import FileDaemon
from vmsnap_lab.lab import Lab

DATACENTER = "Lab"
MODULE = "bareos-fd-vmsnap"


def run(show: Show, place: Path, transport: str, plugin_path: Path) -> bool:
    """Play the demo in the directory `place`; return whether all came back.

    plugin_path: the directory with the plugin's module.
    """
    show.step("A simulated vCenter with real disks")
    with Lab(place / "lab") as lab:
        show.note(f"https://{lab.host}:{lab.port}/sdk, certificate verified against its own CA")
        if transport == "vddk":
            show.note(f"disks through nbdkit's vddk plugin, with {lab.vddk.libdir} for VDDK")
        connection = lab.connect()
        (place / "guest").mkdir()
        scenario = Scenario(lab, place / "guest")

        show.step(f"Users work in VM {NAME} and take {len(SNAPSHOTS)} snapshots, on branches")
        for planned in SNAPSHOTS:
            scenario.take(planned, connection)
            show.note(f"{planned.name}: {planned.cpus} CPU, {planned.memory_mb} MiB")
        scenario.settle(connection)
        vm, guest = _find(connection), lab.guest(NAME)
        show.tree(vm, fingerprints.sizes(vm, lab))
        before = fingerprints.take(vm, guest)

        daemon = FileDaemon(place / "bareos", plugin_path=plugin_path)
        plugin = plugin_line(lab, place, transport)
        show.step("Full backup through the plugin, driven as bareos-fd would")
        backup = daemon.backup(plugin, name="backup-web1", level="Full", on_message=show.message)
        show.job(backup)
        if backup.status != "T" or _snapshot_count(vm) != len(SNAPSHOTS):
            return False

        show.step(f"VM {NAME} is destroyed")
        WaitForTask(vm.Destroy_Task())
        show.note(f"VMs left in the inventory: {len(lab.vcenter.vms())}")

        show.step("Restore through the plugin")
        restore = daemon.restore(None, name="backup-web1", on_message=show.message)
        show.job(restore)
        if restore.status != "T":
            return False

        show.step("Proof")
        vm, guest = _find(connection), lab.guest(NAME)
        show.tree(vm, fingerprints.sizes(vm, lab))
        return show.comparison(before, fingerprints.take(vm, guest))


def plugin_line(lab: Lab, place: Path, transport: str) -> str:
    """The Plugin line of a FileSet for the demo's VM; the password stands in a file of its own."""
    secret = place / "vcenter.password"
    secret.touch(mode=0o600)
    secret.write_text(lab.password + "\n")
    options = {
        "module_name": MODULE,
        "vcserver": lab.host,
        "vcport": str(lab.port),
        "vcuser": lab.user,
        "vcpass_file": str(secret),
        "ca_file": str(lab.ca_file),
        "dc": DATACENTER,
        "folder": "/",
        "vmname": NAME,
        **plugin_options.to_disks(lab, transport),
    }
    escaped = (f"{key}={value.replace(':', chr(92) + ':')}" for key, value in options.items())
    return "python3:" + ":".join(escaped)


def _find(connection: Any) -> Any:
    content = connection.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    return next(vm for vm in view.view if vm.name == NAME)


def _snapshot_count(vm: Any) -> int:
    pending, count = list(vm.snapshot.rootSnapshotList), 0
    while pending:
        pending += pending.pop().childSnapshotList or []
        count += 1
    return count
