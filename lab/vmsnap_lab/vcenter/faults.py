# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Faults of vSphere for what goes wrong in the storage below."""

from __future__ import annotations

from typing import Any, Callable

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError


def locked(path: str) -> Any:
    return vim.fault.FileLocked(file=path, msg=f"Unable to access file {path} since it is locked")


def not_found(path: str) -> Any:
    return vim.fault.FileNotFound(file=path, msg=f"File {path} was not found")


def already_exists(path: str) -> Any:
    return vim.fault.FileAlreadyExists(
        file=path,
        msg=f"Cannot complete the operation because the file or folder {path} already exists",
    )


def no_space(path: str) -> Any:
    datastore = path.partition("]")[0].lstrip("[")
    return vim.fault.NoDiskSpace(
        file=path,
        datastore=datastore,
        msg=f"Insufficient disk space on datastore '{datastore}'.",
    )


def invalid_argument(name: str, message: str = "") -> Any:
    return vmodl.fault.InvalidArgument(
        invalidProperty=name,
        msg=message or f"A specified parameter was not correct: {name}",
    )


def internal(error: Exception) -> Any:
    return vmodl.fault.SystemError(reason=repr(error), msg=f"Internal error: {error!r}")


_OF_STORAGE: dict[str, Callable[[str], Any]] = {
    "locked": locked,
    "missing": not_found,
    "exists": already_exists,
    "no-space": no_space,
}


def from_storage(error: StorageError, path: str = "") -> Any:
    """The fault for a storage error met while working on `path`, or on what the error names."""
    make = _OF_STORAGE.get(error.kind)
    if make is not None and path:
        return make(path)
    fault = make(path) if make is not None else vim.fault.FileFault(file=path)
    fault.msg = f"Error caused by file {path}: {error}"
    return fault
