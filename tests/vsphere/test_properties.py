# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One property of several objects, in as many pages as the server likes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyVmomi import vim, vmodl

from bareos_vmsnap.vsphere import properties
from bareos_vmsnap.vsphere.session import Session
from vmsnap_lab.lab import Lab


@pytest.fixture
def folders(lab: Lab, session: Session) -> Iterator[list[vim.Folder]]:
    root = session.content.rootFolder
    made = [root.CreateFolder(f"folder {number}") for number in range(5)]
    yield made
    for folder in made:
        try:
            folder.Destroy_Task()
        except vmodl.fault.ManagedObjectNotFound:
            continue  # the test did


@pytest.mark.parametrize("page", [1, 2, 100])
def test_all_pages_are_read(
    lab: Lab, session: Session, folders: list[vim.Folder], page: int
) -> None:
    lab.vcenter.habits.max_objects = page
    found = session.read(vim.Folder, [folder._moId for folder in folders], "name")
    assert found == {folder._moId: f"folder {number}" for number, folder in enumerate(folders)}


def test_what_does_not_exist_is_left_out(session: Session, folders: list[vim.Folder]) -> None:
    morefs = ["group-404", *(folder._moId for folder in folders), "group-405"]
    found = session.read(vim.Folder, morefs, "name")
    assert set(found) == {folder._moId for folder in folders}
    assert session.read(vim.Folder, ["group-404"], "name") == {}
    assert session.read(vim.Folder, [], "name") == {}


def test_other_faults_are_reported(session: Session, folders: list[vim.Folder]) -> None:
    with pytest.raises(vmodl.query.InvalidProperty):
        session.read(vim.Folder, [folders[0]._moId], "nonsense")


def test_an_expired_session_begins_anew(
    lab: Lab, session: Session, folders: list[vim.Folder]
) -> None:
    """The server does not raise then: it answers without the values, with faults beside them."""
    lab.vcenter.sessions.expire_all()
    found = session.read(vim.Folder, [folder._moId for folder in folders], "name")
    assert len(found) == len(folders)


def test_a_value_that_may_not_be_read_is_reported(lab: Lab, session: Session) -> None:
    with pytest.raises(vim.fault.NotAuthenticated):
        lab.vcenter.sessions.expire_all()
        collector = session.content.propertyCollector
        properties.retrieve(collector, vim.Folder, ["group-d1"], "name")
