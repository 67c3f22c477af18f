# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The plugin with a check switched off: the proof must notice."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.site import REPOSITORY
from tests.proof.world import World

_MODULE = "bareos-fd-vmsnap.py"


@contextmanager
def world(
    directory: Path, sabotage: str, disks: int = 1, flavour: str = "vcenter"
) -> Iterator[World]:
    """A world whose jobs run these lines of Python before the plugin is loaded."""
    folder = directory / "plugin"
    folder.mkdir()
    real = (REPOSITORY / _MODULE).read_text()
    first = f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
    (folder / _MODULE).write_text(first + textwrap.dedent(sabotage) + real)

    class Sabotaged(World):
        product = folder

    with Sabotaged(disks=disks, flavour=flavour) as made:
        yield made
