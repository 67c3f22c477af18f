# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Builds the library with gcc, once for each state of its sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

NAME = "libvixDiskLib.so.8"
SOURCES = Path(__file__).parent / "libvixDiskLib"
PACKAGES = "gcc libc6-dev libnbd-dev"
WARNINGS = ("-Wall", "-Wextra", "-Werror")


class BuildError(Exception):
    """The library cannot be built; the message names what is missing."""


def library(*options: str) -> Path:
    """The library, built with these options of gcc if it is not there yet. Raises BuildError."""
    sources = [*sorted(SOURCES.glob("*.[ch]")), SOURCES / "exports.map"]
    if not sources[-1].exists():
        raise BuildError(f"cannot build {NAME}: its sources are not in {SOURCES}")
    contents = [file.read_bytes() for file in sources] + [option.encode() for option in options]
    state = hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]
    folder = cache() / f"libvixDiskLib-{state}"
    built = folder / NAME
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not built.exists():
                compile_library(built, *options)
    return built


def cache() -> Path:
    """`.cache/vddk` of the repository, or of the user if this is an installed package."""
    repository = Path(__file__).parents[3]
    if (repository / "scripts" / "setup").exists():
        return repository / ".cache" / "vddk"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "bareos-vmsnap" / "vddk"


def compile_library(target: Path, *options: str) -> None:
    """Raises BuildError."""
    if shutil.which("gcc") is None:
        raise BuildError(f"cannot build {NAME}: there is no gcc; install {PACKAGES}")
    unfinished = target.with_suffix(".unfinished")
    command = [
        *("gcc", "-std=gnu11", "-O2", "-g", *WARNINGS, "-fPIC", "-shared", "-pthread"),
        *(f"-Wl,-soname,{NAME}", "-Wl,-z,defs", f"-Wl,--version-script={SOURCES}/exports.map"),
        *(*options, "-o", str(unfinished)),
        *(str(file) for file in sorted(SOURCES.glob("*.c"))),
        "-lnbd",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(
            f"cannot build {NAME} (does it lack one of {PACKAGES}?): {done.stderr.strip()}"
        )
    unfinished.rename(target)
