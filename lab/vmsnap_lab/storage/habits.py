# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How the simulated changed block tracking behaves where real systems differ."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal


@dataclass
class CbtHabits:
    """How tracking behaves where real systems differ, are not documented, or fail.

    Switches may be changed at any time.

    star: the answer to change id "*": "allocated" (all blocks ever written), "whole-disk" (one
        extent, allowed by VMware's documentation outside VMFS), "fails" (kind "no-epoch"),
        "own-files" (all blocks of files in the disk's own folder: what a linked clone reads from
        files of another VM is left out. Nothing public says what a real host answers).
    revert_uuid: a delta made on a disk that was frozen before continues the disk's UUID ("keep")
        or starts tracking anew ("new").
    revert_sequence: with the UUID kept, "global" never uses a number twice on a disk; "reuse"
        counts on from the parent, so that two branches have the same change id for other content.
    stray_id: a change id with the right UUID that names an epoch of another branch, or of a deleted
        delta: "answers" from the numbers alone, and the answer is wrong; "fails" with kind
        "cannot-get-changes".
    door_writes: what a client writes through a door, as a restore does, is "tracked", or "missed" as
        as VMware puts it: once a restore has begun to write, change tracking misreports (VDDK
        programming guide, restoring virtual disks).
    misses: the fraction of changed blocks that answers leave out; which ones, `seed` decides.
    late_misses: the same, only of blocks that were written on top of a file that the disk's UUID
        does not track, which is so if tracking was enabled while a snapshot existed. Not supported
        by VMware, and since vSphere 6.5 not refused when asked: such changes may be incomplete
        (Veritas 100033481). Change id "*" is answered in full.
    crash: what a host's crash does to the disks of a running VM: "new-uuid", tracking starts anew, as
        reported of power failures (TechTarget and NAKIVO, "CBT"); "loses", the UUID is kept and
        what was noted since the disk was made is not. Nobody says that the latter cannot be.
    """

    star: Literal["allocated", "whole-disk", "fails", "own-files"] = "allocated"
    revert_uuid: Literal["keep", "new"] = "keep"
    revert_sequence: Literal["global", "reuse"] = "global"
    stray_id: Literal["answers", "fails"] = "answers"
    door_writes: Literal["tracked", "missed"] = "tracked"
    misses: float = 0.0
    late_misses: float = 0.0
    crash: Literal["new-uuid", "loses"] = "new-uuid"
    seed: int = 0

    def overlooks(self, block: int, misses: float) -> bool:
        return zlib.crc32(f"{self.seed}/{block}".encode()) < misses * 2**32


@dataclass
class FileHabits:
    """merge_open: disks are merged although clients have them open, and without a word to these.

    Hosts lock the files of a disk that is open, but how far a reader's lock goes in a merge is not
    public; the lab refuses such a merge by default.
    """

    merge_open: bool = False
