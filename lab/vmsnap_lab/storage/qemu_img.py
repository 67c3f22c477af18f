# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The qemu-img commands that the storage needs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vmsnap_lab.storage.errors import StorageError

CLUSTER = 64 * 1024


class QemuImg:
    """Runs qemu-img. Failures are StorageErrors: "no-space", "locked" or "corrupt".

    keep: a file descriptor that the commands inherit, so that waiting for all its copies to
        be closed includes the commands that a killed lab has left behind.

    Commands do not wait for the disk: the lab must survive being killed, not a power cut.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep

    def create(self, file: Path, capacity: int, thin: bool) -> None:
        """A disk without parent; not thin means that every cluster is allocated at once."""
        preallocation = "off" if thin else "falloc"
        options = f"cluster_size={CLUSTER},preallocation={preallocation}"
        self._run("create", "-q", "-f", "qcow2", "-o", options, str(file), str(capacity))

    def create_overlay(self, file: Path, capacity: int, backing: str) -> None:
        """An empty overlay; its parent is neither opened nor needed."""
        self._run(
            *("create", "-q", "-u", "-f", "qcow2", "-o", f"cluster_size={CLUSTER}"),
            *("-F", "qcow2", "-b", backing, str(file), str(capacity)),
        )

    def add_bitmap(self, file: Path, name: str, granularity: int) -> None:
        self._run("bitmap", "--add", "-g", str(granularity), str(file), name)

    def renew_bitmap(self, file: Path, name: str, granularity: int, locking: bool = True) -> None:
        """Replace a bitmap, in any state, by an empty one."""
        image = "json:" + json.dumps(_layer(file, locking))
        self._run("bitmap", "--remove", "--add", "-g", str(granularity), image, name)

    def remove_bitmap(self, file: Path, name: str) -> None:
        self._run("bitmap", "--remove", str(file), name)

    def commit(self, file: Path, parent: Path, *, locking: bool = True) -> None:
        """Write all that `file` holds into its parent. `file` keeps its content.

        Without `locking` it does not matter who has them open.
        """
        image = {**_layer(file, locking), "backing": _layer(parent, locking)}
        self._run("commit", "-q", "-d", "-t", "unsafe", "json:" + json.dumps(image))

    def resize(self, file: Path, capacity: int) -> None:
        self._run("resize", "-q", "-f", "qcow2", str(file), str(capacity))

    def convert(self, file: Path, copy: Path) -> None:
        """Copy the content of a whole chain into one new file."""
        self._run(
            *("convert", "-q", "-t", "unsafe", "-f", "qcow2", "-O", "qcow2"),
            *("-o", f"cluster_size={CLUSTER}", str(file), str(copy)),
        )

    def allocated(self, file: Path, own: bool) -> Iterator[tuple[int, int]]:
        """(start, length) in bytes of what the chain, or (`own`) this file alone, has allocated."""
        for part in json.loads(self._run("map", "--output=json", "-f", "qcow2", str(file))):
            if part["present"] and not (own and part["depth"]):
                yield part["start"], part["length"]

    def _run(self, *arguments: str) -> bytes:
        done = subprocess.run(
            ["qemu-img", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=[self._keep],
        )
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip()
            if "No space left" in reason:
                raise StorageError("no-space", reason)
            if "Failed to get " in reason and " lock" in reason:
                raise StorageError("locked", reason)
            raise StorageError("corrupt", reason or f"qemu-img {arguments[0]} failed")
        return done.stdout


def _layer(file: Path, locking: bool) -> dict[str, Any]:
    """A qcow2 file as qemu's options describe it."""
    below = {"driver": "file", "filename": str(file), "locking": "auto" if locking else "off"}
    return {"driver": "qcow2", "file": below}
