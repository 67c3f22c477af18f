# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Choosing the time point to restore from the manifests of the selected jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.tree import model


class ChoiceError(VmsnapError):
    """The selection does not identify one time point; the message lists what it holds."""


def timepoint(
    trees: Sequence[model.BlockTree], requested: Optional[str]
) -> tuple[model.BlockTree, model.TimePoint]:
    """The block tree to restore from and the time point in it: `requested`, or the newest.

    Raises ChoiceError.
    """
    vms = sorted({f"{tree.vm.name} ({tree.vm.instance_uuid})" for tree in trees})
    if len({tree.vm.instance_uuid for tree in trees}) > 1:
        raise ChoiceError(
            f"the selection holds several VMs: {', '.join(vms)}; restore one at a time",
            id="selection-several-vms",
        )
    found = [tree for tree in trees if requested is None or requested == tree.point.id]
    if not found:
        known = ", ".join(sorted({tree.point.id for tree in trees}))
        raise ChoiceError(
            f"there is no time point {requested}; the selected jobs hold {known}",
            id="time-point-unknown",
        )
    tree = max(found, key=lambda tree: tree.point.age)
    return tree, tree.point
