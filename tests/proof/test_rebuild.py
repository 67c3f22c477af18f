# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Segment files alone are enough: extracted by Bareos, rebuilt without manifest and vCenter."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from click.testing import CliRunner

from bareos_vmsnap.cli.main import main
from tests.proof.world import World


def content(image: Path, raw: Path) -> bytes:
    command = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(image), str(raw)]
    subprocess.run(command, check=True)
    return raw.read_bytes()


def test_disks_come_back_from_segment_files_alone(tmp_path: Path) -> None:
    with World(disks=2) as world:
        world.write(0, 0.1, 70_000, 1)
        world.snapshot("a")
        world.write(1, 0.3, 5_000, 2)
        world.snapshot("b")
        world.backup("Full")
        world.revert(0)
        world.write(0, 0.1, 300, 0)
        world.snapshot("c")
        world.write(0, 1.0, 512, 3)
        world.backup("Incremental")
        files, disks = tmp_path / "files", tmp_path / "disks"
        options = f"python3:restore_target=files:restore_directory={files}"
        assert world.daemon.restore(None, name="proof0", plugin_options=options).status == "T"
        for manifest in files.rglob("*.json"):
            manifest.unlink()

        done = CliRunner().invoke(main, ["rebuild", str(files), str(disks)])
        assert done.exit_code == 0, done.output

        expected = {taken.name: taken.hardware for taken in world.machine.snapshots.values()}
        expected["state"] = world.machine.hardware
        seen = set()
        for entry in json.loads((disks / "tree.json").read_text())["nodes"]:
            kind, _, name = entry["disks"]["scsi0-0"].split("/")[-2].partition("-")
            node = "state" if kind == "state" else name
            if node == "state" and not name.endswith("-j2"):
                continue  # the state at the Full, which the world has no copy of
            seen.add(node)
            for slot, key in (("scsi0-0", 2000), ("scsi0-1", 2001)):
                found = content(disks / entry["disks"][slot], tmp_path / "raw")
                assert found == expected[node].disks[key], (node, slot)
        assert seen == {"a", "b", "c", "state"}

        (lost,) = files.rglob("s0001-a/scsi0-1.*.vmseg")
        lost.unlink()
        again = CliRunner().invoke(main, ["rebuild", str(files), str(tmp_path / "again")])
        assert again.exit_code == 1
        assert "which it builds on" in again.output


def test_verify_tells_whole_files_from_damaged_ones(tmp_path: Path) -> None:
    with World(disks=1) as world:
        world.write(0, 0.1, 70_000, 1)
        world.backup("Full")
        options = f"python3:restore_target=files:restore_directory={tmp_path}"
        assert world.daemon.restore(None, name="proof0", plugin_options=options).status == "T"
    (segment,) = tmp_path.rglob("*.vmseg")
    assert CliRunner().invoke(main, ["verify", str(segment)]).exit_code == 0
    damaged = bytearray(segment.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    segment.write_bytes(damaged)
    result = CliRunner().invoke(main, ["verify", str(segment)])
    assert result.exit_code == 1
    assert str(segment) in result.output

    (manifest,) = tmp_path.rglob("*.json")
    shown = CliRunner().invoke(main, ["show", str(manifest)])
    assert shown.exit_code == 0
    assert "the VM stood here" in shown.output
