# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the tests need on this machine: an installed Bareos, and PostgreSQL's programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

SEARCH_PATH = (
    "/usr/sbin:/usr/bin:/sbin:/bin"  # also of the daemons: their python3 is the first here
)


class NotInstalled(Exception):
    """The message says what is missing and where it was looked for."""


@dataclass(frozen=True)
class Installation:
    """The programs `director`, `storage`, `file` (daemon) and `console`; Bareos' directories of
    catalog scripts and of plugins; the directory of PostgreSQL's server programs."""

    director: Path
    storage: Path
    file: Path
    console: Path
    scripts: Path
    plugins: Path
    postgresql: Path


def find() -> Installation:
    """Look on PATH, or only below $BAREOS_PREFIX if that is set. Raises NotInstalled."""
    prefix = os.environ.get("BAREOS_PREFIX")
    if prefix:
        programs = f"{prefix}/sbin:{prefix}/bin"
    else:
        programs = f"{os.environ.get('PATH', '')}:{SEARCH_PATH}"
    director = _program("bareos-dir", programs)
    root = Path(prefix) if prefix else director.resolve().parent.parent
    return Installation(
        director=director,
        storage=_program("bareos-sd", programs),
        file=_program("bareos-fd", programs),
        console=_program("bconsole", programs),
        scripts=_directory(root, "bareos/scripts", "make_bareos_tables"),
        plugins=_directory(root, "bareos/plugins", "python3-fd.so"),
        postgresql=_postgresql(),
    )


def _program(name: str, path: str) -> Path:
    found = shutil.which(name, path=path)
    if found is None:
        where = (
            f"in {path}"
            if os.environ.get("BAREOS_PREFIX")
            else "on PATH, and BAREOS_PREFIX is not set"
        )
        raise NotInstalled(f"Bareos is not installed: no {name} {where}")
    return Path(found)


def _directory(root: Path, name: str, holding: str) -> Path:
    places = [*root.glob(f"lib*/{name}"), *root.glob(f"lib/*/{name}")]
    return _first(places, holding, f"Bareos has no {name}/{holding} below {root}/lib*")


def _postgresql() -> Path:
    versions = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    versions.sort(key=_version, reverse=True)
    on_path: Sequence[str] = os.environ.get("PATH", "").split(":")
    places = [*versions, *map(Path, on_path)]
    return _first(places, "initdb", "PostgreSQL's server is not installed: no initdb")


def _version(path: Path) -> float:
    digits = "".join(c for c in str(path) if c.isdigit() or c == ".")
    return float(digits.strip(".") or 0)


def _first(places: Iterable[Path], holding: str, otherwise: str) -> Path:
    found: Optional[Path] = next((p for p in places if (p / holding).is_file()), None)
    if found is None:
        raise NotInstalled(otherwise)
    return found
