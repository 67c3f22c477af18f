# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One version everywhere, and documents that speak of what is there."""

from __future__ import annotations

import re

import pytest

import bareos_vmsnap
import vmsnap_lab

from .imports import LAB, PRODUCT, REPOSITORY


def test_product_and_lab_have_one_version() -> None:
    metadata = (REPOSITORY / "lab" / "pyproject.toml").read_text()
    versions = re.findall(r'^version = "(.+)"$', metadata, re.MULTILINE)
    assert [bareos_vmsnap.__version__, vmsnap_lab.__version__] == versions * 2


def test_the_changelog_has_the_version_with_its_date() -> None:
    newest = re.search(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    dated = re.fullmatch(r"(\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}", newest[1])
    assert newest[1] == "Unreleased" or (dated and dated[1] == bareos_vmsnap.__version__)


def _named_files() -> list[str]:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    return sorted(
        set(re.findall(r"`([\w./-]+\.(?:py|md|svg)|[\w./-]+/)(?:: \w+(?:\(\))?)?`", text))
    )


@pytest.mark.parametrize("name", _named_files())
def test_the_map_names_what_is_there(name: str) -> None:
    below = [path for house in (PRODUCT, LAB) for path in (house, *house.rglob("*"))]
    wanted = f"/{name.rstrip('/')}"
    assert (REPOSITORY / name).exists() or any(str(path).endswith(wanted) for path in below)
