# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""director-config/ as shipped, with names and addresses changed and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bareos_vmsnap

REPOSITORY = Path(bareos_vmsnap.__file__).parent.parent
SHIPPED = REPOSITORY / "director-config"


def text(name: str, changes: Mapping[str, str]) -> str:
    """The file below director-config/ with these changes. Raises ValueError if there is nothing to
    change: the file says something else than this harness believes."""
    content = (SHIPPED / name).read_text()
    for old, new in changes.items():
        if old not in content:
            raise ValueError(f"director-config/{name} does not have {old!r}")
        content = content.replace(old, new)
    return content


def with_lines(resource: str, lines: str) -> str:
    """A resource, merged with these lines of one's own."""
    head, brace, tail = resource.rpartition("}")
    return f"{head}{lines}{brace}{tail}"


def names() -> list[Path]:
    """The Director's files, relative to bareos-dir.d."""
    root = SHIPPED / "bareos-dir.d"
    return sorted(path.relative_to(root) for path in root.glob("*/*.conf"))
