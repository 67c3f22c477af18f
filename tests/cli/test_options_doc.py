# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

from pathlib import Path

from bareos_vmsnap.cli import options

DOCS = Path(__file__).parents[2] / "docs" / "options.md"


def test_the_documentation_has_every_option_as_the_code_has_it() -> None:
    assert options.markdown() in DOCS.read_text(), "run: vmsnap options, and put it into docs/"
