# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which time point of a VM is restored, and by which plan: as soon as that is known for sure."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NoReturn, Optional

from bareos_vmsnap import errors
from bareos_vmsnap.fd.file_spool import FileSpool
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.fd.selected_manifests import Damage, SelectedManifests
from bareos_vmsnap.tree import model, names, plan_restore, time_point_choice


@dataclass(frozen=True)
class PlannedRestore:
    """The block tree and the steps that restore one of its time points."""

    tree: model.BlockTree
    plan: plan_restore.RestorePlan

    @property
    def needed(self) -> frozenset[str]:
        """The names of the virtual files that the restore needs."""
        nvram = self.plan.point.nvram
        segments = [segment.name for segment in self.plan.segments]
        return frozenset(segments if nvram is None else [nvram.name, *segments])


class RestorePlanning:
    """Plans the restore of one VM. `later`: time points of which files came, but no manifest."""

    def __init__(self, options: Options, log: JobLog, manifests: SelectedManifests) -> None:
        self._options = options
        self._log = log
        self._manifests = manifests
        self.later: set[str] = set()

    def from_objects(self) -> Optional[PlannedRestore]:
        """The plan by the restore objects, if these are enough to know what is the newest.

        Raises errors.RestoreError.
        """
        manifests = self._manifests
        choice, doubts = self._choose(), []
        if choice is None:
            doubts = manifests.damaged
        elif self._options.restore_timepoint is None:
            doubts = manifests.doubts(choice)
        for damage in manifests.damaged:
            needed = "The manifest's file must come." if damage in doubts else "It is not needed."
            self._log.warn(
                "restore-object-unusable",
                f"{damage.name}: {damage.error} {needed}",
                *errors.ids(damage.error),
            )
        return self._plan(choice) if choice is not None and not doubts else None

    def from_files(self, spool: FileSpool) -> PlannedRestore:
        """The plan by what has come, with the manifest files in the spool.

        Raises errors.RestoreError.
        """
        manifests, requested = self._manifests, self._options.restore_timepoint
        for name in spool.names():
            if names.manifest_timepoint(name) is not None:
                manifests.take_file(name, functools.partial(spool.open, name))
        choice = self._choose()
        if choice is None:
            for damage in manifests.damaged:
                if requested is None or damage.point == requested or not manifests.points:
                    self._refuse_damaged(damage)
        if not manifests.points:
            raise errors.RestoreError(
                "Nothing was restored: the selection holds no manifest of a VM",
                todo="Select the VM's whole directory, of every job since its last full",
                id="manifest-missing",
            )
        if choice is None:
            assert requested is not None, "of all time points one is the newest"
            self._refuse(time_point_choice.unknown(requested, manifests.points))
        if requested is None:
            for damage in manifests.doubts(choice):
                self._refuse_damaged(damage)
        return self._plan(choice)

    def _refuse_damaged(self, damage: Damage) -> NoReturn:
        raise errors.RestoreError(
            f"{damage.name}: {damage.error}",
            todo="Select the jobs before it, or have an older time point with restore_timepoint",
            id="manifest-unusable",
        ) from damage.error

    def _choose(self) -> Optional[time_point_choice.Choice]:
        requested = self._options.restore_timepoint
        try:
            if requested is None:
                return self._manifests.newest()
            return self._manifests.requested(requested)
        except time_point_choice.ChoiceError as error:
            self._refuse(error)

    def _refuse(self, error: errors.VmsnapError) -> NoReturn:
        raise errors.RestoreError(
            f"The restore cannot be planned: {error}", id="restore-unplannable"
        ) from error

    def _plan(self, choice: time_point_choice.Choice) -> PlannedRestore:
        tree, point = choice.tree, choice.point
        try:
            plan = plan_restore.plan(
                tree, point, plan_restore.Snapshots(self._options.restore_snapshots)
            )
        except plan_restore.RestorePlanError as error:
            self._refuse(error)
        for reason in choice.reasons:
            self._log.info(reason)
        for warning in choice.warnings:
            self._log.warn(*warning)
        self._log.info(
            f"Restoring VM {tree.vm.name} as of time point {point.id} ({point.taken}): "
            f"{len(point.snapshots)} snapshots, {len(plan.segments)} segments"
        )
        if any(tree.nodes[live.node].power_state != "poweredOff" for live in point.snapshots):
            self._log.info(
                "Some snapshots were taken of the running VM. Memory is not part of a backup: they "
                "come back as of a VM that is off"
            )
        return PlannedRestore(tree, plan)

    def look_for_newer(self, path: str, planned: PlannedRestore) -> None:
        """Refuse to pass over the manifest of a time point newer than the planned one.

        Its restore objects did not come: a VirtualFull has none. Raises errors.RestoreError.
        """
        point = names.saved_at(path)
        if point is None or self._options.restore_timepoint is not None:
            return
        if self._manifests.knows(point) or time_point_choice.is_older(point, planned.tree):
            return
        if names.manifest_timepoint(path) is None:
            self.later.add(point)
            return
        older = planned.plan.point.id
        raise errors.RestoreError(
            f"VM {planned.tree.vm.name}: the selection holds a newer time point, {point}, than the one "
            f"that is being restored, {older}: of the newer one only the manifest's file "
            f"{path} came, and no restore objects",
            todo="Restore the job that holds it alone (a VirtualFull has everything), or give "
            f"restore_timepoint={point} to have it, restore_timepoint={older} to have the older one",
            id="manifest-newer",
        )
