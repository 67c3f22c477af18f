# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How plugin strings are taken apart before Python sees them."""

from __future__ import annotations

import pytest

from vmsnap_lab.filedaemon.job.definition import DefinitionParser, IllegalDefinition


@pytest.mark.parametrize(
    ("definition", "options"),
    [
        ("python3:module_path=/p:module_name=m:a=b:c=d", "a=b:c=d:"),
        ("python3:module_name=m", ""),
        ("python3:", ""),
        (r"python3:a=b\:c:d=e", r"a=b\:c:d=e:"),
        ("python3:a=b=c", "a=b=c:"),
        ("python3:a=:b=c", "a=:b=c:"),
        ("python3:A b=c d [e]%", "A b=c d [e]%:"),
        ("python3:m=1:mod=2:module=3:module_n=4:MODULE_PATH=5:x=6", "x=6:"),
    ],
)
def test_options(definition: str, options: str) -> None:
    assert DefinitionParser().parse(definition) == options


def test_module_names_lose_their_backslashes() -> None:
    parser = DefinitionParser()
    parser.parse(r"python3:module_path=C\:\x:module_name=n")
    assert (parser.module_path, parser.module_name) == ("C:x", "n")


def test_pushed_options_come_first_until_the_module_is_loaded() -> None:
    parser = DefinitionParser()
    parser.push("python3:a=restore:b=2")
    assert parser.parse("python3:module_name=m:a=backup") == "a=restore:b=2:a=backup:"
    parser.loaded = True
    assert parser.parse("python3:module_name=m:a=backup") == "a=backup:"


@pytest.mark.parametrize("definition", ["python3", "python3:a", "python3:a=b:c"])
def test_illegal(definition: str) -> None:
    with pytest.raises(IllegalDefinition):
        DefinitionParser().parse(definition)
