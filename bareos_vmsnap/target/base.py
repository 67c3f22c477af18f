# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a restore requires of its target: one method for every kind of step."""

from __future__ import annotations

from typing import Protocol

from bareos_vmsnap.transport.disks import DiskDescription
from bareos_vmsnap.tree import segment_header


class Target(Protocol):
    """A place a tree can be rebuilt in. Every method raises errors.RestoreError or a subclass.

    Steps come in the order of a restore plan; the target keeps track of its leaf.
    """

    def create(self, node: segment_header.Node) -> None:
        """Make the VM with this node's configuration, its disks new and empty."""

    def revert(self, node: str) -> None:
        """Bring the leaf back to a snapshot taken before (a node's id, or ORIGIN)."""

    def configure(self, node: segment_header.Node) -> None:
        """Bring the leaf to this node's configuration and set of disks."""

    def check(self) -> None:
        """Raise if somebody else has changed the result since the last step."""

    def describe(self, disk: segment_header.Disk) -> DiskDescription:
        """The leaf of that disk, for writing; valid until the next step."""

    def take_snapshot(self, node: str, name: str, description: str) -> None:
        """Freeze the leaf as this node."""

    def remove_helper(self, node: str) -> None:
        """Remove the snapshot that stands in for this node; what builds on it stays."""

    def nvram(self, content: bytes) -> None:
        """Write the VM's NVRAM file."""

    def finish(self) -> str:
        """All steps are done: make the result usable; return a sentence that says where it is."""

    def abandon(self, keep: bool) -> str:
        """The restore failed: keep the incomplete result, marked as such, or remove it.

        Returns a sentence on what was left.
        """

    def close(self) -> None:
        """Release connections and files, all of them, whatever one of these does."""
