# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The block tree that the headers of segment files describe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bareos_vmsnap import codec, errors, system_errors
from bareos_vmsnap.stream import reader
from bareos_vmsnap.tree import model
from bareos_vmsnap.tree.segment_header import Node, SegmentHeader


def tree_of(files: Iterable[Path]) -> tuple[model.BlockTree, dict[str, Path]]:
    """The block tree that the files' headers describe, and the file of each segment by name.

    Raises errors.RestoreError if headers are damaged, or files are of several VMs or missing.
    """
    tree: Any = None
    found: dict[str, Path] = {}
    for path in sorted(files):
        header = _header(path)
        vm, node, segment = header.vm, header.node, header.segment
        if tree is None:
            tree = model.BlockTree(vm, "/".join(segment.name.split("/")[:3]))
        if vm.instance_uuid != tree.vm.instance_uuid:
            raise errors.RestoreError(
                f"{path} is of another VM ({vm.name}) than the files before", id="selection-mixed"
            )
        known = tree.nodes.setdefault(node.id, node)
        tree.nodes[node.id] = replace(known, disks=(*known.disks, header.disk))
        tree.segments[segment.name] = segment
        found[segment.name] = path
    if tree is None:
        raise errors.RestoreError("There is no segment file (*.vmseg)", id="segments-missing")
    tree.nodes = {node.id: node for node in _bases_first(tree)}
    for segment in tree.segments.values():
        if segment.base is not None and tree.nodes[segment.base].disk(segment.disk) is None:
            raise errors.RestoreError(
                f"{found[segment.name]}: the segment of disk {segment.disk} at node "
                f"{segment.base}, which it builds on, is missing",
                todo="Extract the files of every job since the last full",
                id="segments-missing",
            )
    return tree, found


def _header(path: Path) -> SegmentHeader:
    try:
        with path.open("rb") as source:
            return SegmentHeader.from_json(reader.SegmentReader(source).header)
    except codec.MismatchError as error:
        raise errors.RestoreError(
            f"{path} does not tell whose it is: {error}", id="segment-nameless"
        ) from error
    except (OSError, errors.VmsnapError) as error:
        cause = system_errors.translated(error)
        raise errors.RestoreError(
            f"{path} cannot be read: {cause}", id="segment-file-unreadable"
        ) from cause


def _bases_first(tree: model.BlockTree) -> list[Node]:
    order: list[Node] = []
    pending = sorted(tree.nodes.values(), key=lambda node: (node.created, node.id))
    while pending:
        done = {node.id for node in order}
        ready = [node for node in pending if node.base is None or node.base in done]
        if not ready:
            missing = sorted({node.base or "" for node in pending} - set(tree.nodes))
            raise errors.RestoreError(
                f"Segments are missing: nothing of node {', '.join(missing)}, "
                "which others build on",
                todo="Extract the files of every job since the last full",
                id="segments-missing",
            )
        order.append(ready[0])
        pending.remove(ready[0])
    return order
