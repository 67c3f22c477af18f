# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A tree as overlays in a directory."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bareos_vmsnap import errors, system_errors
from bareos_vmsnap.target import steps
from bareos_vmsnap.target.qcow2_directory import Qcow2Directory
from bareos_vmsnap.tree import model, plan_restore

from ..tree import trees


def image(path: Path) -> Any:
    command = ["qemu-img", "info", "--output=json", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def rebuild(directory: Path, tree: model.BlockTree) -> Qcow2Directory:
    """All steps of a restore but for the data."""
    target = Qcow2Directory(directory, tree)
    for step in plan_restore.plan(tree, tree.point).steps:
        if not isinstance(step, plan_restore.Write):
            steps.perform(step, target, tree)
    return target


def test_every_node_is_an_overlay_over_its_base(tmp_path: Path) -> None:
    tree = trees.backed_up("A\n  B\n    C\n  D *\nE\n")
    directory = tmp_path / "there"
    sentence = rebuild(directory, tree).finish()
    assert str(directory) in sentence
    index = json.loads((directory / "tree.json").read_text())["nodes"]
    assert [node["name"] for node in index] == ["A", "B", "C", "D", "E", None]
    files = {node["node"]: directory / node["disks"]["scsi0-0"] for node in index}
    for node in index:
        found = image(files[node["node"]])
        assert found["virtual-size"] == trees.CAPACITY
        base = found.get("full-backing-filename")
        assert (base and Path(base).resolve()) == files.get(node["base"])


def test_a_directory_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "somebody's").write_text("file")
    with pytest.raises(errors.RestoreError, match="is not empty"):
        Qcow2Directory(tmp_path, trees.backed_up("A"))
    assert [path.name for path in tmp_path.iterdir()] == ["somebody's"]


@pytest.mark.parametrize("keep", [True, False])
def test_an_incomplete_directory(tmp_path: Path, keep: bool) -> None:
    directory = tmp_path / "there"
    sentence = rebuild(directory, trees.backed_up("A")).abandon(keep)
    assert (directory / "INCOMPLETE").exists() is keep
    assert directory.exists() is keep
    assert ("incomplete directory" in sentence) is keep


@pytest.mark.parametrize("keep", [True, False])
def test_a_directory_that_nothing_was_written_to(tmp_path: Path, keep: bool) -> None:
    directory = tmp_path / "file" / "below"
    (tmp_path / "file").write_text("")
    sentence = Qcow2Directory(directory, trees.backed_up("A")).abandon(keep)
    assert sentence.startswith("nothing, ")
    assert Qcow2Directory(tmp_path / "new", trees.backed_up("A")).abandon(keep)[:8] == "nothing,"
    (tmp_path / "empty").mkdir()
    sentence = Qcow2Directory(tmp_path / "empty", trees.backed_up("A")).abandon(keep)
    assert sentence.startswith("nothing, ")
    assert (tmp_path / "empty").exists()


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError) as raised:
        Qcow2Directory(tmp_path / "file", trees.backed_up("A"))
    assert system_errors.translated(raised.value).id == "path-unfit"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.RestoreError, match="cannot be made: Not a directory") as raised:
        rebuild(tmp_path / "file" / "below", trees.backed_up("A"))
    assert errors.ids(raised.value) == ["directory-unwritable", "path-unfit"]
    assert raised.value.todo is not None
