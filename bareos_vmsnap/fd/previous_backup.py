# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What an Incremental or Differential may build on: the manifest Bareos passed on."""

from __future__ import annotations

import datetime
import threading
from typing import Any, Optional

from bareos_vmsnap import errors
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.tree import (
    lineage,
    manifest,
    model,
    plan_backup,
    restore_objects,
    segment_header,
    time_point_choice,
)
from bareos_vmsnap.tree.observed import Observed
from bareos_vmsnap.vsphere import history


def find(
    pieces: restore_objects.Pieces,
    vm: segment_header.Vm,
    options: Options,
    job_info: JobInfo,
    log: JobLog,
) -> Optional[model.BlockTree]:
    """The previous job's block tree of this VM, or None if the full work must be done.

    Raises errors.BackupError if without_previous=fail forbids that.
    """
    if job_info.level == "F":
        return None
    choice, reason = _read(pieces, vm)
    if choice is not None:
        for warning in choice.warnings:
            log.warn(*warning)
        _compare_clocks(choice.point, vm, job_info, log)
        return choice.tree
    what = f"This {job_info.level_name} of VM {vm.name} cannot build on a previous job: {reason}"
    if options.without_previous == "fail":
        raise errors.BackupError(
            what,
            todo="Run a Full, or set without_previous=full to let such jobs do the full work",
            id="previous-unusable",
        )
    log.warn("previous-unusable", f"{what}. It does the full work: every snapshot is sent")
    return None


def build_upon(
    tree: model.BlockTree,
    observed: Observed,
    content: Any,
    vm: Any,
    options: Options,
    log: JobLog,
    cancel: threading.Event,
) -> plan_backup.Previous:
    """Which snapshots are known, and whether the previous state is an ancestor of today's."""
    nodes = lineage.known(tree, observed)
    point = tree.point
    then = history.Creation(tree.nodes[point.state].created, point.event_chain, point.server)
    now = history.Creation(observed.state.created, observed.event_chain, observed.server)
    past = history.between(content, vm, then, now, cancel)
    line, reason = lineage.line(tree, observed, nodes, past, options.require_marker)
    if line is not None and not options.use_cbt:
        line, reason = None, "use_cbt=no"
    if line is not None and options.audit and observed.current is not None:
        line, reason = None, "the audit needs a base that can still be read"
    if line is None:
        log.info(
            f"VM {observed.vm.name}: changes of the current state are counted from its snapshot, "
            f"not from the previous backup: {reason}"
        )
    return plan_backup.Previous(tree, nodes, line)


def _compare_clocks(
    point: model.TimePoint, vm: segment_header.Vm, job_info: JobInfo, log: JobLog
) -> None:
    """Report a previous time point in the future. It counts nevertheless: ancestry decides."""
    taken, now = (
        datetime.datetime.fromisoformat(t) for t in (point.taken, job_info.planned().taken)
    )
    if taken > now:
        log.warn(
            "previous-in-future",
            f"VM {vm.name}: the previous job's time point {point.id} lies in the future: it was "
            f"taken at {point.taken}, and it is {now.isoformat()} now. The clock of a file daemon is or "
            "was wrong. The job builds upon it all the same",
        )


def _read(
    pieces: restore_objects.Pieces, vm: segment_header.Vm
) -> tuple[Optional[time_point_choice.Choice], str]:
    trees, damaged = [], []
    for name in pieces.names():
        try:
            trees.append(pieces.manifest(name))
        except manifest.ManifestError as error:
            damaged.append(error.what)
    mine = [tree for tree in trees if tree.vm.instance_uuid == vm.instance_uuid]
    if mine:
        try:
            return time_point_choice.newest(mine), ""
        except time_point_choice.ChoiceError as error:
            return None, error.what
    if damaged:
        return None, "; ".join(damaged)
    if trees:
        others = ", ".join(f"{tree.vm.name} ({tree.vm.instance_uuid})" for tree in trees)
        return None, f"its manifest is of another VM, {others}"
    return None, "Bareos handed over no manifest (a VirtualFull or Consolidate drops them)"
