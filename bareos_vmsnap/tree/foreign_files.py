# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Does a disk build on files outside of the VM's folders, as those of linked and instant clones do?

Nobody promises that change id "*" and the allocation map tell what is in such files, nor what CBT
tells of a disk that was a delta when its tracking began.
"""

from __future__ import annotations

from typing import Optional

from bareos_vmsnap.tree import segment_header
from bareos_vmsnap.tree.observed import Observed


def reason(observed: Observed, disk: segment_header.Disk) -> Optional[str]:
    """Which file is not the VM's own, in words, or None if all are."""
    homes = {*observed.homes, folder(disk.path)}
    found = next((path for path in disk.chain if folder(path) not in homes), None)
    return None if found is None else f"it builds on a file outside of the VM's folders, {found}"


def folder(path: str) -> str:
    """The folder of a datastore path: "[datastore1] web1" for "[datastore1] web1/web1.vmdk"."""
    inner = path.rstrip("/ ") if path.endswith("/") else path.rpartition("/")[0]
    return inner or path.partition("]")[0] + "]"
