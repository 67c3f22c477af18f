# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Carries out the steps of a restore plan in a target; the caller provides the segments' data."""

from __future__ import annotations

from bareos_vmsnap.target.base import Target
from bareos_vmsnap.tree import model, plan_restore


def perform(step: plan_restore.Step, target: Target, tree: model.BlockTree) -> None:
    """Do a step that is not a Write. Raises errors.RestoreError."""
    if isinstance(step, plan_restore.Create):
        target.create(tree.nodes[step.node])
    elif isinstance(step, plan_restore.Revert):
        target.revert(step.node)
    elif isinstance(step, plan_restore.Configure):
        target.configure(tree.nodes[step.node])
    elif isinstance(step, plan_restore.TakeSnapshot):
        target.take_snapshot(step.node, step.name, step.description)
    elif isinstance(step, plan_restore.RemoveHelper):
        target.remove_helper(step.node)
    else:
        raise TypeError(f"{type(step).__name__} is no step without data")
