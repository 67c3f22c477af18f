# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Whatever users call a VM and its snapshots comes back as it was."""

from __future__ import annotations

import pytest

from bareos_vmsnap.vsphere import inventory

from .joblog import check_ok
from .roundtrip import round_trip
from .site import Site

# Each is taken over the one before it.
SNAPSHOTS = (
    ("alike", ""),
    ("alike", "The same name, on the same branch"),
    ("升级/测试 🚀", "第一行\nsecond line\n\n  indented, with a tab\t and trailing blanks  "),
    ("50%2f done\\ of 100%", "%25 % %s %n"),
    ("  blanks around  ", " "),
    ("""<'quoted' & "double">""", "<![CDATA[x]]> &amp; ]]>"),
    ("n" * 300, "d" * 3000),
    ("..", "a name that is a path"),
)


def test_names_of_snapshots(site: Site) -> None:
    machine = site.create()
    for number, (name, description) in enumerate(SNAPSHOTS):
        machine.scribble(number, pieces=1)
        machine.snapshot(name, description)
    faces = round_trip(site, machine).portrait().faces
    assert [(f.name, f.description) for f in faces[:-1]] == list(SNAPSHOTS)


@pytest.mark.parametrize("name", ["Büro/测试 100% 'a' \"b\"", "  a:b=c\\d", "[x] {vm} $HOME"])
def test_names_of_vms(site: Site, name: str) -> None:
    machine = site.create(name)
    machine.scribble(1)
    machine.snapshot("s")
    before = machine.portrait()

    check_ok(site.backup(name))
    machine.destroy()
    check_ok(site.restore())
    (shown,) = site.vm_names()  # vSphere escapes some characters
    assert inventory.plain_name(shown) == name
    assert site.find(shown).portrait() == before
