# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Changed block tracking that tells of more changes than anybody wants to write."""

from __future__ import annotations

from dataclasses import replace

from vmsnap_lab.lab import Lab
from vmsnap_lab.storage.cbt_epochs import BLOCK


def claim_changed(lab: Lab, path: str, count: int) -> None:
    """Let the tracking of a leaf say that `count` blocks of 64 KiB have changed, every other one.

    They read as zeros, which is what a backup sends of them. `path`: the disk's datastore path.
    """
    catalog = lab.store._catalog
    with catalog.lock:
        disk = catalog.find(path)
        track = disk.record.track
        assert track is not None, f"{path} is not tracked"
        stride = max(2, disk.capacity // BLOCK // count)
        blocks = ((number * stride, 1) for number in range(count))
        catalog.update(disk, replace(disk.record, track=track.written(blocks)))
