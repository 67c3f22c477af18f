# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Files on datastores: those of disks, which belong to the storage, and plain ones beside them."""

from __future__ import annotations

import builtins
import datetime
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import DiskStore
from vmsnap_lab.vcenter import faults

_PATH = re.compile(r"\[([^\]]+)\] ?(.*)")
_DISK_SUFFIX = ".vmdk"
_RECORD_SUFFIX = ".vmdk.json"  # the storage's own notes on a disk: not part of the datastore


class Entry(NamedTuple):
    name: str
    path: str  # "[datastore1] vm/vm.vmx"
    is_folder: bool
    is_disk: bool
    size: int  # bytes
    modified: datetime.datetime


def split(path: str) -> tuple[str, str]:
    """`[datastore1] vm/vm.vmx` as datastore and path below it, "" for its root.

    Raises InvalidDatastorePath for anything else.
    """
    match = _PATH.fullmatch(path)
    inner = match.group(2).strip("/") if match else ""
    if match is None or any(part in (".", "..") for part in inner.split("/")):
        raise vim.fault.InvalidDatastorePath(
            datastorePath=path, msg=f"Invalid datastore path '{path}'."
        )
    return match.group(1), inner


def join(datastore: str, inner: str) -> str:
    return f"[{datastore}] {inner}".rstrip()


def folder_of(path: str) -> str:
    """The folder a file is in: `[datastore1] vm` for `[datastore1] vm/vm.vmx`."""
    datastore, inner = split(path)
    return join(datastore, inner.rpartition("/")[0])


def name_of(path: str) -> str:
    """The last part of a path, without its folder."""
    return split(path)[1].rpartition("/")[2]


class DatastoreFiles:
    """Raises FileNotFound, FileAlreadyExists, CannotDeleteFile, InvalidDatastorePath."""

    def __init__(self, store: DiskStore, datastores: Sequence[str]) -> None:
        self._store = store
        self.datastores = tuple(datastores)

    def host_path(self, path: str) -> Path:
        datastore, inner = split(path)
        if datastore not in self.datastores:
            raise vim.fault.InvalidDatastorePath(
                datastorePath=path, msg=f"Invalid datastore path '{path}'."
            )
        root = self._store.host_path(join(datastore, "x")).parent
        return root / inner

    def exists(self, path: str) -> bool:
        return self.host_path(path).exists()

    def is_folder(self, path: str) -> bool:
        return self.host_path(path).is_dir()

    def read(self, path: str) -> bytes:
        self._check_plain(path)
        return self.host_path(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        if self.is_folder(path) or self._is_disk(path):
            raise faults.already_exists(path)
        target = self.host_path(path)
        if not target.parent.is_dir():
            raise faults.not_found(folder_of(path))
        unfinished = target.with_name(f".{target.name}.unfinished")
        unfinished.write_bytes(content)
        os.replace(unfinished, target)

    def make_folder(self, path: str, parents: bool) -> None:
        folder = self.host_path(path)
        if folder.exists():
            raise faults.already_exists(path)
        if not parents and not folder.parent.is_dir():
            raise faults.not_found(folder_of(path))
        folder.mkdir(parents=True)

    def list(self, path: str) -> builtins.list[Entry]:
        folder = self.host_path(path)
        if not folder.is_dir():
            raise faults.not_found(path)
        datastore, inner = split(path)
        return [
            self._entry(join(datastore, f"{inner}/{child.name}".lstrip("/")), child)
            for child in sorted(folder.iterdir())
            if not child.name.startswith(".") and not child.name.endswith(_RECORD_SUFFIX)
        ]

    def delete(self, path: str) -> None:
        """A file, a disk or a folder with all that is in it."""
        if not self.exists(path):
            raise faults.not_found(path)
        disks = list(self._disks_below(path))
        while disks:
            leaves = [disk for disk in disks if not self._store.children(disk)]
            if not leaves:
                raise vim.fault.CannotDeleteFile(
                    file=path, msg=f"Cannot delete file {path}: other disks depend on it"
                )
            for leaf in leaves:
                self._store.delete(leaf)
                disks.remove(leaf)
        target = self.host_path(path)
        if target.is_dir():
            shutil.rmtree(target)
        elif target.exists():
            target.unlink()

    def delete_if_there(self, path: str) -> None:
        """A plain file."""
        self.host_path(path).unlink(missing_ok=True)

    def delete_folder_if_empty(self, path: str) -> None:
        if self.is_folder(path) and not self.list(path):
            shutil.rmtree(self.host_path(path))

    def move(self, source: str, target: str, force: bool) -> None:
        self._prepare(source, target, force)
        os.replace(self.host_path(source), self.host_path(target))

    def copy(self, source: str, target: str, force: bool) -> None:
        self._prepare(source, target, force)
        shutil.copyfile(self.host_path(source), self.host_path(target))

    def move_plain(self, folder: str, target: str, names: Sequence[str]) -> dict[str, str]:
        """Move the named plain files of one folder to another; old and new paths."""
        moved = {}
        for name in names:
            if self.exists(f"{folder}/{name}"):
                shutil.move(
                    str(self.host_path(f"{folder}/{name}")),
                    str(self.host_path(f"{target}/{name}")),
                )
                moved[f"{folder}/{name}"] = f"{target}/{name}"
        return moved

    def _prepare(self, source: str, target: str, force: bool) -> None:
        self._check_plain(source)
        if self.exists(target) and not force:
            raise faults.already_exists(target)
        if self.is_folder(target) or self._is_disk(target):
            raise faults.already_exists(target)
        if not self.host_path(target).parent.is_dir():
            raise faults.not_found(folder_of(target))

    def _check_plain(self, path: str) -> None:
        if not self.exists(path):
            raise faults.not_found(path)
        if self.is_folder(path) or self._is_disk(path):
            raise vmodl.fault.NotSupported(
                msg=f"The simulation cannot do that with a folder or a disk: {path}"
            )

    def _is_disk(self, path: str) -> bool:
        return path.endswith(_DISK_SUFFIX) and self._store.exists(path)

    def _disks_below(self, path: str) -> builtins.list[str]:
        datastore, _ = split(path)
        prefix = path.rstrip("/") + "/"
        return [
            disk for disk in self._store.list(datastore) if disk == path or disk.startswith(prefix)
        ]

    def _entry(self, path: str, file: Path) -> Entry:
        is_disk = self._is_disk(path)
        status = file.stat()
        return Entry(
            file.name,
            path,
            file.is_dir(),
            is_disk,
            self._store.size_on_datastore(path) if is_disk else status.st_size,
            datetime.datetime.fromtimestamp(status.st_mtime, datetime.timezone.utc),
        )
