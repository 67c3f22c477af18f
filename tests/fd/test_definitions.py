# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Options given at restore and those of Plugin lines, separated."""

from __future__ import annotations

import pytest

from bareos_vmsnap.fd.restore_options import Definitions, options_of

WEB = "python3:module_path=/usr/lib:module_name=bareos-fd-vmsnap:vmname=web1:dc=A"
DB = "python3:module_name=bareos-fd-vmsnap:vmname=db1:nbd_uri=nbd+unix\\:///?socket=/s/{disk}"


@pytest.mark.parametrize(
    ("line", "options"),
    [
        (WEB, "vmname=web1:dc=A:"),
        (DB, "vmname=db1:nbd_uri=nbd+unix\\:///?socket=/s/{disk}:"),
        (WEB + ":", "vmname=web1:dc=A:"),
        ("python3:module_name=x", ""),
        ("python3:MODULE_name=x:mod=y:a=b=c", "a=b=c:"),
    ],
)
def test_what_bareos_hands_on(line: str, options: str) -> None:
    assert options_of(line) == options


def test_nothing_given_at_restore() -> None:
    definitions = Definitions(options_of(WEB))
    assert [definitions.of(WEB), definitions.of(DB)] == [options_of(WEB), options_of(DB)]
    assert definitions.at_restore == ""


def test_given_options_come_first_for_every_line() -> None:
    definitions = Definitions("restore_created=yes:vmname=copy:" + options_of(WEB))
    assert definitions.of(WEB) == "restore_created=yes:vmname=copy:" + options_of(WEB)
    assert definitions.of(DB) == "restore_created=yes:vmname=copy:" + options_of(DB)
    assert definitions.at_restore == "restore_created=yes:vmname=copy:"


def test_an_option_equal_to_that_of_the_first_line_counts_as_one_of_the_restore() -> None:
    definitions = Definitions("dc=A:" + options_of(WEB))
    definitions.of(WEB)
    assert definitions.of(DB).startswith("dc=A:vmname=db1:")


def test_given_options_that_loaded_the_module_by_themselves() -> None:
    definitions = Definitions("vcserver=other:")
    assert definitions.of(WEB) == "vcserver=other:" + options_of(WEB)
