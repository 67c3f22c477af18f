# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from pyVmomi import vim

from vmsnap_lab.lab import Lab

from .client import MIB, Client, new_disk, reconfigure, vm_of, wait

READER = ["System.Anonymous", "System.View", "System.Read"]


@pytest.fixture
def user(lab: Lab) -> Iterator[Client]:
    """Somebody who may look, take snapshots, and nothing else."""
    name, password = f"user{secrets.token_hex(4)}@vsphere.local", secrets.token_hex(8)
    lab.vcenter.add_user(name, password, [*READER, "VirtualMachine.State.CreateSnapshot"])
    with Client(lab, lab.connect(name, password)) as connected:
        connected.user = name
        yield connected


def test_what_is_granted_works_and_what_is_not_is_refused(client: Client, user: Client) -> None:
    guest, own = client.vm()
    vm = vm_of(user.si._stub, own._moId)
    snapshot = user.snapshot(vm)
    assert vm.config.name
    refusals = {
        "VirtualMachine.State.RemoveSnapshot": lambda: snapshot.RemoveSnapshot_Task(False),
        "VirtualMachine.State.RevertToSnapshot": lambda: snapshot.RevertToSnapshot_Task(),
        "VirtualMachine.State.RenameSnapshot": lambda: snapshot.RenameSnapshot("x"),
        "VirtualMachine.Provisioning.DiskRandomRead": lambda: vm.QueryChangedDiskAreas(
            snapshot, 2000, 0, "*"
        ),
        "VirtualMachine.Config.Memory": lambda: reconfigure(vm, memoryMB=512),
        "VirtualMachine.Config.ChangeTracking": lambda: reconfigure(
            vm, changeTrackingEnabled=False
        ),
        "VirtualMachine.Config.AddNewDisk": lambda: reconfigure(vm, new_disk(MIB)),
        "VirtualMachine.Interact.PowerOn": lambda: vm.PowerOnVM_Task(),
        "VirtualMachine.Inventory.Delete": lambda: vm.Destroy_Task(),
    }
    for privilege, attempt in refusals.items():
        with pytest.raises(vim.fault.NoPermission) as caught:
            attempt()
        assert caught.value.privilegeId == privilege
        assert caught.value.object == vm


def test_reconfiguring_needs_what_is_in_the_spec(lab: Lab, client: Client, user: Client) -> None:
    guest, own = client.vm()
    manager = client.content.authorizationManager
    role = manager.AddAuthorizationRole(
        f"memory {user.user}",
        ["VirtualMachine.Config.Memory"],
    )
    manager.SetEntityPermissions(
        own,
        [
            vim.AuthorizationManager.Permission(
                principal=user.user,
                group=False,
                roleId=role,
                propagate=True,
            )
        ],
    )
    vm = vm_of(user.si._stub, own._moId)
    reconfigure(vm, memoryMB=512)
    with pytest.raises(vim.fault.NoPermission):
        reconfigure(vm, memoryMB=1024, numCPUs=2)
    assert vm.config.hardware.memoryMB == 512


def test_asking_for_privileges(lab: Lab, client: Client, user: Client) -> None:
    guest, vm = client.vm()
    manager = user.content.authorizationManager
    key = user.content.sessionManager.currentSession.key
    wanted = ["VirtualMachine.State.CreateSnapshot", "VirtualMachine.State.RemoveSnapshot"]
    (answer,) = manager.HasPrivilegeOnEntities([vm], key, wanted)
    assert [entry.isGranted for entry in answer.privAvailability] == [True, False]
    (fetched,) = manager.FetchUserPrivilegeOnEntities([vm], user.user)
    assert "VirtualMachine.State.CreateSnapshot" in fetched.privileges
    assert "VirtualMachine.State.RemoveSnapshot" not in fetched.privileges
    (own,) = client.content.authorizationManager.FetchUserPrivilegeOnEntities([vm], lab.user)
    assert set(wanted) < set(own.privileges)


def test_no_access_hides_a_folder_and_what_is_below(client: Client, user: Client) -> None:
    folder = client.find("Lab/vm").CreateFolder("hidden")
    client.content.authorizationManager.SetEntityPermissions(
        folder,
        [
            vim.AuthorizationManager.Permission(
                principal=user.user,
                group=False,
                roleId=-5,
                propagate=True,
            )
        ],
    )
    guest, vm = client.vm(folder="Lab/vm/hidden")
    with pytest.raises(vim.fault.NoPermission):
        _ = vm_of(user.si._stub, vm._moId).config
    view = user.content.viewManager.CreateContainerView(user.content.rootFolder, [vim.Folder], True)
    assert "hidden" not in [entity.name for entity in view.view]
    assert user.find("Lab/vm/hidden") is None
    wait(vm.Destroy_Task())


def test_rights_on_a_vm_alone_are_enough_to_follow_its_tasks(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    lab.vcenter.sessions.add_user("narrow", "secret")
    permissions = lab.vcenter.authorization.permissions
    role = permissions.add_role("narrow", ["VirtualMachine.State.CreateSnapshot"])
    permissions.set(guest.vm, "narrow", role)
    with Client(lab, lab.connect("narrow", "secret")) as narrow:
        narrow.snapshot(vm_of(narrow.si._stub, guest.moref))
        with pytest.raises(vim.fault.NoPermission):
            _ = narrow.content.rootFolder.name


def test_roles(client: Client) -> None:
    manager = client.content.authorizationManager
    role = manager.AddAuthorizationRole("Backup", ["VirtualMachine.State.CreateSnapshot"])
    with pytest.raises(vim.fault.AlreadyExists):
        manager.AddAuthorizationRole("Backup", [])
    manager.UpdateAuthorizationRole(role, "Backup 2", ["Datastore.Browse"])
    by_id = {known.roleId: known for known in manager.roleList}
    assert by_id[role].name == "Backup 2"
    assert "Datastore.Browse" in by_id[role].privilege
    manager.RemoveAuthorizationRole(role, True)
    with pytest.raises(vim.fault.NotFound):
        manager.RemoveAuthorizationRole(role, True)


def test_a_permission_needs_a_known_user(client: Client) -> None:
    with pytest.raises(vim.fault.UserNotFound):
        client.content.authorizationManager.SetEntityPermissions(
            client.content.rootFolder,
            [
                vim.AuthorizationManager.Permission(
                    principal="nobody", group=False, roleId=-1, propagate=True
                )
            ],
        )
