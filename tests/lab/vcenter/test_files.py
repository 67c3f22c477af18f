# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Datastore files: over HTTPS, through the browser and the file manager."""

from __future__ import annotations

import base64
import http.client
from typing import Any, Optional
from urllib.parse import quote, urlencode

import pytest
from pyVmomi import vim, vmodl

from vmsnap_lab.lab import Lab

from .client import MIB, Client, wait

Browser = vim.host.DatastoreBrowser


class Web:
    def __init__(self, lab: Lab, **headers: str) -> None:
        self.lab = lab
        self.headers = headers

    def __call__(
        self,
        method: str,
        path: str,
        body: Optional[bytes] = None,
        dc: Optional[str] = "Lab",
        ds: Optional[str] = "datastore1",
    ) -> tuple[int, bytes]:
        query = {key: value for key, value in (("dcPath", dc), ("dsName", ds)) if value}
        connection = http.client.HTTPSConnection(
            self.lab.host, self.lab.port, context=self.lab.tls_context()
        )
        target = f"/folder/{quote(path)}?{urlencode(query)}"
        connection.request(method, target, body, self.headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content


@pytest.fixture
def web(lab: Lab, client: Client) -> Web:
    return Web(lab, Cookie=client.si._stub.cookie)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_nvram_over_https(lab: Lab, client: Client, web: Web) -> None:
    guest, vm = client.vm()
    path = f"{vm.name}/{vm.name}.nvram"
    status, content = web("GET", path)
    assert status == 200
    assert len(content) == 8684
    assert content == guest.nvram()
    assert web("HEAD", path) == (200, b"")
    assert web("PUT", path, b"new nvram")[0] == 200
    assert guest.nvram() == b"new nvram"
    assert web("PUT", f"{vm.name}/other 中文.txt", b"x")[0] == 201
    assert web("GET", f"{vm.name}/other 中文.txt") == (200, b"x")
    assert web("DELETE", f"{vm.name}/other 中文.txt")[0] == 204
    assert web("GET", f"{vm.name}/other 中文.txt")[0] == 404


def test_the_configuration_file_can_be_read(client: Client, web: Web) -> None:
    guest, vm = client.vm(memory_mb=512)
    client.snapshot(vm, 'a "quoted" name')
    text = web("GET", f"{vm.name}/{vm.name}.vmx")[1].decode()
    assert f'displayName = "{vm.name}"' in text
    assert 'memSize = "512"' in text
    assert f'scsi0:0.fileName = "{vm.name}.vmdk"' in text
    vmsd = web("GET", f"{vm.name}/{vm.name}.vmsd")[1].decode()
    assert 'snapshot0.displayName = "a |22quoted|22 name"' in vmsd


def test_rights_to_files(lab: Lab, client: Client, web: Web) -> None:
    guest, vm = client.vm()
    path = f"{vm.name}/{vm.name}.nvram"
    assert Web(lab)("GET", path)[0] == 401
    assert Web(lab, Cookie='vmware_soap_session="unknown"')("GET", path)[0] == 401
    assert Web(lab, Authorization=basic(lab.user, lab.password))("GET", path)[0] == 200
    assert Web(lab, Authorization=basic(lab.user, "wrong"))("GET", path)[0] == 401
    assert Web(lab, Authorization="Basic %%%")("GET", path)[0] == 401
    lab.vcenter.add_user("browser", "secret", ["Datastore.Browse"])
    browser = Web(lab, Authorization=basic("browser", "secret"))
    assert browser("GET", path)[0] == 403
    assert browser("PUT", path, b"x")[0] == 403
    assert browser("GET", vm.name)[0] == 200


def test_wrong_places(client: Client, web: Web) -> None:
    guest, vm = client.vm()
    path = f"{vm.name}/{vm.name}.nvram"
    assert web("GET", path, dc="Nowhere")[0] == 404
    assert web("GET", path, ds="nowhere")[0] == 404
    assert web("GET", path, dc="Sites/Branch%2fOffice/Remote")[0] == 404
    assert web("GET", "no/such")[0] == 404
    assert web("GET", "../../password")[0] == 404
    assert web("GET", f"{vm.name}/{vm.name}.vmdk")[0] == 403
    assert web("PUT", f"{vm.name}/{vm.name}.vmdk", b"x")[0] == 409
    assert web("PUT", "no folder/x", b"x")[0] == 404
    assert web("DELETE", f"{vm.name}/{vm.name}.vmx")[0] == 409


def test_a_datacenter_in_folders(client: Client, web: Web) -> None:
    folder = "Sites/Branch%2fOffice/Remote"
    guest, vm = client.vm(folder=f"{folder}/vm", datastore="remote1")
    path = f"{vm.name}/{vm.name}.nvram"
    assert web("GET", path, dc=folder, ds="remote1")[0] == 200
    assert web("GET", path, dc="Remote", ds="remote1")[0] == 404
    wait(vm.Destroy_Task())


def test_listings(client: Client, web: Web) -> None:
    guest, vm = client.vm()
    assert b"Lab" in web("GET", "", dc=None, ds=None)[1]
    assert b"datastore2" in web("GET", "", ds=None)[1]
    assert f">{vm.name}/<".encode() in web("GET", "")[1]
    listing = web("GET", vm.name)[1]
    assert f">{vm.name}.nvram<".encode() in listing
    assert b".json" not in listing


def search(client: Client, path: str, method: str = "SearchDatastore_Task", **spec: Any) -> Any:
    browser = client.find("Lab/datastore/datastore1").browser
    return wait(getattr(browser, method)(path, Browser.SearchSpec(**spec)))


def test_browsing(client: Client) -> None:
    guest, vm = client.vm([MIB])
    client.snapshot(vm)
    name = vm.name
    folder = f"[datastore1] {name}"
    details = Browser.FileInfo.Details(
        fileType=True, fileSize=True, modification=True, fileOwner=False
    )
    found = search(client, folder, details=details)
    assert found.folderPath == folder + "/"
    kinds = {file.path: type(file) for file in found.file}
    assert kinds == {
        f"{name}.vmdk": Browser.VmDiskInfo,
        f"{name}-000001.vmdk": Browser.VmDiskInfo,
        f"{name}.vmx": Browser.VmConfigInfo,
        f"{name}.nvram": Browser.VmNvramInfo,
        f"{name}-Snapshot1.vmsn": Browser.VmSnapshotInfo,
        f"{name}.vmsd": Browser.FileInfo,
        f"{name}.vmxf": Browser.FileInfo,
    }
    sizes = {file.path: file.fileSize for file in found.file}
    assert sizes[f"{name}.nvram"] == 8684
    (nvram,) = search(client, folder, matchPattern=["*.NVRAM"], details=details).file
    assert nvram.modification.year >= 2024
    disks = search(client, folder, query=[Browser.VmDiskQuery()], details=details).file
    assert len(disks) == 2
    top = search(client, "[datastore1]", query=[Browser.FolderQuery()], details=details)
    assert name in [file.path for file in top.file]
    deep = search(client, "[datastore1]", "SearchDatastoreSubFolders_Task", matchPattern=["*.vmx"])
    assert folder + "/" in [result.folderPath for result in deep]
    with pytest.raises(vim.fault.FileNotFound):
        search(client, "[datastore1] no such")
    with pytest.raises(vim.fault.InvalidDatastorePath):
        search(client, "[datastore2] x")


def test_the_file_manager(client: Client, web: Web) -> None:
    manager, lab = client.content.fileManager, client.find("Lab")
    with pytest.raises(vim.fault.FileNotFound):
        manager.MakeDirectory("[datastore1] a/b", lab, False)
    manager.MakeDirectory("[datastore1] a/b", lab, True)
    with pytest.raises(vim.fault.FileAlreadyExists):
        manager.MakeDirectory("[datastore1] a/b", lab, True)
    web("PUT", "a/b/file", b"content")
    wait(manager.CopyDatastoreFile_Task("[datastore1] a/b/file", lab, "[datastore2] copy", lab))
    assert web("GET", "copy", ds="datastore2") == (200, b"content")
    with pytest.raises(vim.fault.FileAlreadyExists):
        wait(
            manager.MoveDatastoreFile_Task(
                "[datastore1] a/b/file", lab, "[datastore2] copy", lab, False
            )
        )
    wait(
        manager.MoveDatastoreFile_Task("[datastore1] a/b/file", lab, "[datastore2] copy", lab, True)
    )
    assert web("GET", "a/b/file")[0] == 404
    wait(manager.DeleteDatastoreFile_Task("[datastore1] a", lab))
    wait(manager.DeleteDatastoreFile_Task("[datastore2] copy", lab))
    with pytest.raises(vim.fault.FileNotFound):
        wait(manager.DeleteDatastoreFile_Task("[datastore1] a", lab))
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.MakeDirectory("[datastore1] x", None, False)
    with pytest.raises(vim.fault.InvalidDatastorePath):
        manager.MakeDirectory("[remote1] x", lab, False)


def test_files_of_vms_are_not_deleted_behind_their_backs(client: Client) -> None:
    guest, vm = client.vm()
    manager, lab = client.content.fileManager, client.find("Lab")
    for path in (f"[datastore1] {vm.name}", guest.path(2000), vm.config.files.vmPathName):
        with pytest.raises(vim.fault.FileLocked):
            wait(manager.DeleteDatastoreFile_Task(path, lab))
    path = guest.path(2000)
    vm.UnregisterVM()
    wait(manager.DeleteDatastoreFile_Task(f"[datastore1] {path.split('/')[0].split('] ')[1]}", lab))
    assert not client.lab.store.exists(path)
