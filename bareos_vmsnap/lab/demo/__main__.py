# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Runs the demo: python3 -m bareos_vmsnap.lab.demo [--keep DIRECTORY] [--transport vddk]"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Optional

import click
from pyVim.task import WaitForTask
from pyVmomi import vim

import bareos_vmsnap
from bareos_vmsnap.lab import ways
from bareos_vmsnap.lab.demo import portrait
from bareos_vmsnap.lab.demo.scenario import NAME, SNAPSHOTS, Scenario
from bareos_vmsnap.lab.demo.show import Show
from bareos_vmsnap.lab.filedaemon import FileDaemon
from bareos_vmsnap.lab.lab import Lab

DATACENTER = "Lab"
REPOSITORY = Path(bareos_vmsnap.__file__).parent.parent


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Keep disks and volumes here.")
@click.option(
    "--transport",
    type=click.Choice(ways.TRANSPORTS),
    default="nbd",
    show_default=True,
    help="How the plugin reaches disks; vddk: nbdkit's vddk plugin on a stand-in for VDDK.",
)
def main(keep: Optional[Path], transport: str) -> None:
    """Back up, destroy and restore a VM with a branching snapshot tree; compare every node."""
    began = time.monotonic()
    show = Show()
    with tempfile.TemporaryDirectory(prefix="vmsnap-demo-") as scratch:
        place = Path(scratch)
        if keep is not None:
            place = keep / time.strftime("%Y%m%d-%H%M%S")
            place.mkdir(parents=True)
        proven = run(show, place, transport)
    seconds = time.monotonic() - began
    verdict = "everything came back byte for byte" if proven else "NOT everything came back"
    colour = "bold green" if proven else "bold red"
    show.console.print(f"\n[{colour}]{verdict}[/] ({seconds:.0f} s)")
    sys.exit(0 if proven else 1)


def run(show: Show, place: Path, transport: str) -> bool:
    """Play the demo in the directory `place`; return whether all came back."""
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
        show.tree(vm, portrait.sizes(vm, lab))
        before = portrait.take(vm, guest)

        daemon = FileDaemon(place / "bareos", plugin_path=REPOSITORY)
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
        show.tree(vm, portrait.sizes(vm, lab))
        return show.comparison(before, portrait.take(vm, guest))


def plugin_line(lab: Lab, place: Path, transport: str) -> str:
    """The Plugin line of a FileSet for the demo's VM; the password stands in a file of its own."""
    secret = place / "vcenter.password"
    secret.touch(mode=0o600)
    secret.write_text(lab.password + "\n")
    options = {
        "module_name": "bareos-fd-vmsnap",
        "vcserver": lab.host,
        "vcport": str(lab.port),
        "vcuser": lab.user,
        "vcpass_file": str(secret),
        "ca_file": str(lab.ca_file),
        "dc": DATACENTER,
        "folder": "/",
        "vmname": NAME,
        **ways.to_disks(lab, transport),
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


if __name__ == "__main__":
    main()
