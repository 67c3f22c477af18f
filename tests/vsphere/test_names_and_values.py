# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Names as vSphere writes them, marks we leave, and its values as JSON."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyVmomi import vim

from bareos_vmsnap.vsphere import inventory, markers, vmodl_json
from bareos_vmsnap.vsphere.session import Session
from vmsnap_lab.lab import Lab


@given(st.text(alphabet="aß中%/\\25fFcC", max_size=12))
def test_names_are_escaped_and_back(name: str) -> None:
    escaped = inventory.entity_name(name)
    assert "/" not in escaped
    assert inventory.plain_name(escaped) == name


def test_urls_of_datastore_files() -> None:
    url = inventory.datastore_url("vc", 443, "[my store] a b/中&.nvram", "Sites/R&D")
    parts = urlsplit(url)
    assert unquote(parts.path) == "/folder/a b/中&.nvram"
    assert parse_qs(parts.query) == {"dcPath": ["Sites/R&D"], "dsName": ["my store"]}
    assert "dcPath" not in inventory.datastore_url("esx", 443, "[a] b", None)


def test_backup_snapshots_are_recognised() -> None:
    daemon = markers.FileDaemon("proxy", "0123456789abcdef")
    name, description = markers.backup_name("job.1"), markers.backup_description(daemon)
    assert markers.leftover(name, description, "snapshot-1") == markers.Leftover(
        "snapshot-1", name, "job.1", daemon
    )
    for others in ((name, ""), (name, "about it"), ("mine", description), ("", "")):
        assert markers.leftover(*others, "snapshot-1") is None


def test_long_names_are_shortened_and_stay_unique() -> None:
    """Bareos' job names have up to 127 characters, vSphere's clients allow 80 in a name."""
    jobs = [f"{'j' * 100}.2026-11-22_10.00.00_{number:02}" for number in range(9)]
    names = [markers.backup_name(job) for job in jobs]
    assert len(set(names)) == len(jobs)
    assert {len(name) for name in names} == {80}
    longest = "j" * (80 - len(markers.BACKUP_PREFIX))
    assert markers.backup_name(longest) == markers.BACKUP_PREFIX + longest
    daemon = markers.FileDaemon("proxy." * 40, "0123456789abcdef")
    description = markers.backup_description(daemon)
    assert len(description) < 250
    found = markers.leftover(names[0], description, "snapshot-1")
    assert found is not None
    assert (found.name, found.daemon.id) == (names[0], daemon.id)


def test_a_configuration_survives_json(lab: Lab, session: Session) -> None:
    guest = lab.create_vm("json", disks=[1 << 20, 1 << 20])
    vm: Any = session.managed(vim.VirtualMachine, guest.moref)
    text = json.dumps(vmodl_json.encode(vm.config))
    again = vmodl_json.decode(json.loads(text))
    assert vmodl_json.encode(again) == json.loads(text)
    assert type(again) is type(vm.config)
    assert again.modified == vm.config.modified
    assert again.hardware.device[-1].backing == vm.config.hardware.device[-1].backing


@pytest.mark.parametrize(
    "value",
    [
        {"_type": "vim.vm.NoSuchThing"},
        {"_type": "vim.vm.ConfigSpec", "nmae": "x"},
        {"_type": "vim.vm.ConfigSpec", "memoryMB": "much"},
        {"_type": "vim.vm.ConfigSpec", "files": {"_type": "vim.Description"}},
        {"_type": "vim.vm.ConfigSpec", "changeVersion": {"_time": "yesterday"}},
        {"name": "no type"},
    ],
)
def test_what_is_no_value_of_vsphere(value: Any) -> None:
    with pytest.raises(vmodl_json.DecodeError):
        vmodl_json.decode(value)
