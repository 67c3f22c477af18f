# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Ready-made overlays: a delta disk is a copy of one, which costs a fraction of a qemu-img run."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from vmsnap_lab.storage import disk_record, qcow2
from vmsnap_lab.storage.qemu_img import QemuImg

_PLACEHOLDER = "./parent"


class Templates:
    """Empty overlays below `folder`, made by qemu-img when first needed, and kept."""

    def __init__(self, folder: Path, qemu_img: QemuImg) -> None:
        self._folder = folder
        self._qemu_img = qemu_img
        self._lock = threading.Lock()
        folder.mkdir(exist_ok=True)

    def copy(self, file: Path, capacity: int, backing: str, bitmap: str | None, block: int) -> None:
        """Make `file` an overlay over `backing`, with an empty enabled bitmap of that name."""
        template = self._folder / f"{capacity}-{bitmap or 'plain'}-{block}"
        with self._lock:
            if not template.exists():
                unfinished = disk_record.unfinished(template)
                unfinished.unlink(missing_ok=True)
                self._qemu_img.create_overlay(unfinished, capacity, _PLACEHOLDER)
                if bitmap:
                    self._qemu_img.add_bitmap(unfinished, bitmap, block)
                unfinished.rename(template)
        _copy_sparse(template, file)
        qcow2.set_backing(file, backing)


def _copy_sparse(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        position = 0
        while position < size:
            try:
                position = os.lseek(reader.fileno(), position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole is left
                    return
                raise
            end = os.lseek(reader.fileno(), position, os.SEEK_HOLE)
            while position < end:
                data = os.pread(reader.fileno(), min(end - position, 1 << 20), position)
                position += os.pwrite(writer.fileno(), data, position)
