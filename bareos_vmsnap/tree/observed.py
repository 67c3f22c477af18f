# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A VM and its snapshot tree as a job finds them, without vSphere's types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from bareos_vmsnap.tree import segment_header
from bareos_vmsnap.tree.disturbances import Disturbance


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as found; `config` is the VM's configuration at it, as JSON values.

    `created` is ISO 8601 in UTC. `disks` are those a backup saves. `restored_by` names the job that
    restored it, if any. `markers` are those of backup jobs that the configuration had at it.
    `left_out` are the disks that no backup can save, each with the reason, for a message.
    """

    moref: str
    id: int
    name: str
    description: str
    created: str
    parent: Optional[str]
    disks: tuple[segment_header.Disk, ...]
    config: Any
    cpus: int
    memory_mb: int
    power_state: str = "poweredOff"
    quiesced: bool = False
    change_tracking: bool = False
    restored_by: Optional[str] = None
    markers: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def disk(self, key: int) -> Optional[segment_header.Disk]:
        """The disk with that device key, or None."""
        return next((disk for disk in self.disks if disk.key == key), None)


@dataclass(frozen=True)
class Observed:
    """The VM at one moment: user snapshots, parents first, and the backup snapshot as `state`.

    `current` is the moref of the current user snapshot, or None; `power_state` is the VM's own;
    `event_chain` is that of the task that took the backup snapshot; `server`, `marker` and
    `without_marker` are as in model.TimePoint. `homes` are the folders of the VM's own files,
    `disturbances` what the event history tells of the time since the oldest base of a new node.
    """

    vm: segment_header.Vm
    snapshots: tuple[Snapshot, ...]
    current: Optional[str]
    state: Snapshot
    power_state: str = "poweredOff"
    event_chain: Optional[int] = None
    server: Optional[str] = None
    marker: Optional[str] = None
    without_marker: Optional[str] = None
    homes: tuple[str, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
