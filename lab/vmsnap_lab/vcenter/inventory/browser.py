# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""HostDatastoreBrowser: listings of datastore directories."""

from __future__ import annotations

import fnmatch
from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.datastore_files import Entry, split
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub

_KINDS = {
    ".vmx": vim.host.DatastoreBrowser.VmConfigInfo,
    ".vmtx": vim.host.DatastoreBrowser.TemplateVmConfigInfo,
    ".nvram": vim.host.DatastoreBrowser.VmNvramInfo,
    ".vmsn": vim.host.DatastoreBrowser.VmSnapshotInfo,
    ".log": vim.host.DatastoreBrowser.VmLogInfo,
}


class DatastoreBrowser(Managed):
    """Not simulated: queries that filter disks by details (type, controller, version)."""

    TYPE = vim.host.DatastoreBrowser

    def __init__(self, vcenter: ServiceHub, moid: str, datastore: list[Any]) -> None:
        super().__init__(vcenter, moid)
        self.datastore = datastore

    @operation("SearchDatastore_Task")
    def search_task(self, call: Call, path: str, spec: Any) -> Any:
        store = self._datastore(path)
        call.require("Datastore.Browse", store)
        return call.start(store, lambda task: self._search(store, path, spec))

    @operation("SearchDatastoreSubFolders_Task")
    def search_subfolders_task(self, call: Call, path: str, spec: Any) -> Any:
        store = self._datastore(path)
        call.require("Datastore.Browse", store)
        return call.start(store, lambda task: self._search_tree(store, path, spec))

    def _datastore(self, path: str) -> Any:
        name, _ = split(path)
        for datastore in self.datastore:
            if datastore.name == name:
                return datastore
        raise vim.fault.InvalidDatastorePath(
            datastorePath=path, msg=f"Invalid datastore path '{path}'."
        )

    def _search_tree(self, store: Any, path: str, spec: Any) -> Any:
        results = [self._search(store, path, spec)]
        for entry in self.vcenter.files.list(path):
            if entry.is_folder:
                results += self._search_tree(store, entry.path, spec)
        return vim.host.DatastoreBrowser.SearchResults.Array(results)

    def _search(self, store: Any, path: str, spec: Any) -> Any:
        entries = self.vcenter.files.list(path)
        if spec is not None:
            entries = [entry for entry in entries if _matches(entry, spec)]
            if spec.sortFoldersFirst:
                entries.sort(key=lambda entry: not entry.is_folder)
        details = spec.details if spec is not None else None
        return vim.host.DatastoreBrowser.SearchResults(
            datastore=store.ref,
            folderPath=path.rstrip("/") + "/" if not path.endswith("]") else path,
            file=[_describe(entry, details) for entry in entries],
        )

    @operation("DeleteFile")
    def delete_file(self, call: Call, path: str) -> None:
        self.vcenter.files.delete(path)


def _matches(entry: Entry, spec: Any) -> bool:
    fold = str.lower if spec.searchCaseInsensitive is not False else str
    patterns = spec.matchPattern or ["*"]
    if not any(fnmatch.fnmatchcase(fold(entry.name), fold(pattern)) for pattern in patterns):
        return False
    kinds = [_of_query(query) for query in spec.query]
    return not kinds or any(issubclass(_kind(entry), kind) for kind in kinds)


def _of_query(query: Any) -> Any:
    """FolderQuery asks for FolderInfo, VmDiskQuery for VmDiskInfo, FileQuery for all."""
    name = type(query).__name__.rpartition(".")[2].replace("Query", "Info")
    if name == "Info":
        return vim.host.DatastoreBrowser.FileInfo
    kind = getattr(vim.host.DatastoreBrowser, name, None)
    if kind is None:
        raise faults.invalid_argument("searchSpec.query")
    return kind


def _kind(entry: Entry) -> Any:
    if entry.is_folder:
        return vim.host.DatastoreBrowser.FolderInfo
    if entry.is_disk:
        return vim.host.DatastoreBrowser.VmDiskInfo
    for suffix, kind in _KINDS.items():
        if entry.name.endswith(suffix):
            return kind
    return vim.host.DatastoreBrowser.FileInfo


def _describe(entry: Entry, details: Any) -> Any:
    kind = _kind(entry)
    if details is None:
        kind = vim.host.DatastoreBrowser.FileInfo
    info = kind(path=entry.name)
    if details is not None and details.fileSize:
        info.fileSize = entry.size
    if details is not None and details.modification:
        info.modification = entry.modified
    return info
