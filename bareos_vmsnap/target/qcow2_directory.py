# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A restore into a directory: every node's disks as qcow2 files over its base's.

Needs no vCenter. Each snapshot is one overlay, named after its node's directory in the backup, so
the result can be opened with qemu-img, qemu-nbd or guestfish at every node.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Optional

from bareos_vmsnap import errors, system_errors
from bareos_vmsnap.transport.disks import Qcow2Disk
from bareos_vmsnap.tree import model, plan_restore, segment_header

_INCOMPLETE = "INCOMPLETE"
_INDEX = "tree.json"
_CLUSTER = 65536


class Qcow2Directory:
    """Rebuilds a tree in `directory`, which must be empty or not exist."""

    def __init__(self, directory: Path, tree: model.BlockTree) -> None:
        if directory.exists() and any(directory.iterdir()):
            raise errors.RestoreError(
                f"The directory {directory} is not empty",
                todo="Name an empty or new directory",
                id="directory-not-empty",
            )
        self._directory = directory
        self._tree = tree
        self._leaf: dict[int, tuple[str, Path]] = {}
        self._kept: dict[str, dict[int, tuple[str, Path]]] = {}
        self._index: list[dict[str, Any]] = []
        self._at = plan_restore.ORIGIN

    def create(self, node: segment_header.Node) -> None:
        """Make the directory and the first node's empty disks."""
        _make_directory(self._directory)
        (self._directory / _INCOMPLETE).write_text("A restore into this directory is not done.\n")
        self._kept[plan_restore.ORIGIN] = {}
        self.configure(node)

    def revert(self, node: str) -> None:
        """Make the next node an overlay over this one's files."""
        self._leaf = dict(self._kept[node])
        self._at = node

    def configure(self, node: segment_header.Node) -> None:
        """Start the overlays of this node."""
        folder = self._folder(node)
        if self._at == node.id:
            return
        _make_directory(folder)
        leaf = {}
        for disk in node.disks:
            identity, under = self._leaf.get(disk.key, ("", None))
            base = under if identity == disk.identity else None
            path = folder / f"{disk.slot}.qcow2"
            _create(path, disk.capacity, base)
            leaf[disk.key] = (disk.identity, path)
        self._leaf, self._at = leaf, node.id

    def check(self) -> None:
        """The directory is private to its user: nothing is looked for."""

    def describe(self, disk: segment_header.Disk) -> Qcow2Disk:
        """The disk's file at the node that is being written."""
        return Qcow2Disk(str(self._leaf[disk.key][1]))

    def take_snapshot(self, node: str, name: str, description: str) -> None:
        """Keep this node's files for others to build upon; ORIGIN has none."""
        if node == plan_restore.ORIGIN:
            return
        self._kept[node] = dict(self._leaf)
        self._note(node, name, description)

    def remove_helper(self, node: str) -> None:
        """Drop the node from the index; its files stay, as others build upon them."""
        self._index = [entry for entry in self._index if entry["node"] != node]

    def nvram(self, content: bytes) -> None:
        """Write the NVRAM to a file beside the disks."""
        (self._directory / "nvram").write_bytes(content)

    def finish(self) -> str:
        """Write the index and remove the mark of incompleteness."""
        self._note(self._at, None, None)
        text = json.dumps({"vm": self._tree.vm.name, "nodes": self._index}, indent=1)
        (self._directory / _INDEX).write_text(text + "\n")
        (self._directory / _INCOMPLETE).unlink()
        return f"The disks of every node are qcow2 files below {self._directory}"

    def abandon(self, keep: bool) -> str:
        """Keep the directory with its mark, or remove what the restore wrote."""
        if not (self._directory.exists() and any(self._directory.iterdir())):
            return f"nothing, {self._directory} was not written to"
        if keep:
            return f"The incomplete directory {self._directory} (see its file {_INCOMPLETE})"
        shutil.rmtree(self._directory)
        return "nothing, the directory was removed"

    def close(self) -> None:
        """Nothing is held open."""

    def _folder(self, node: segment_header.Node) -> Path:
        below = node.directory[len(self._tree.directory) :].strip("/")
        return self._directory / below

    def _note(self, node: str, name: Optional[str], description: Optional[str]) -> None:
        files = {
            self._tree.nodes[node].disk(key).slot: str(path.relative_to(self._directory))  # type: ignore[union-attr]
            for key, (_, path) in self._leaf.items()
        }
        base = self._tree.nodes[node].base
        self._index.append(
            {"node": node, "base": base, "name": name, "description": description, "disks": files}
        )


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        cause = system_errors.translated(error)
        raise errors.RestoreError(
            f"The directory {path} cannot be made: {error.strerror}",
            todo=cause.todo,
            id="directory-unwritable",
        ) from cause


def _create(path: Path, capacity: int, base: Optional[Path]) -> None:
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"cluster_size={_CLUSTER}"]
    if base is not None:
        # Relative to the overlay, so that the whole directory can be moved.
        command += ["-F", "qcow2", "-b", os.path.relpath(base, path.parent)]
    try:
        subprocess.run(
            [*command, str(path), str(capacity)], check=True, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise errors.RestoreError(
            "qemu-img is not installed",
            todo="Install the package qemu-utils (or qemu-img)",
            id="qemu-img-missing",
        ) from error
    except subprocess.CalledProcessError as error:
        raise errors.RestoreError(
            f"The file {path} cannot be made: {error.stderr.strip()}", id="qemu-img-failed"
        ) from error
