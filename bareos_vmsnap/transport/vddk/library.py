# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Finds VMware's library: libdir as nbdkit's vddk plugin understands it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from bareos_vmsnap.transport.endpoint import TransportError

# Those of Bareos' package bareos-vmware-vix-disklib and VMware's tar file, nbdkit's default on
# Debian and Ubuntu, and its default on EL, Fedora and openSUSE.
PLACES = (
    "/usr/lib/vmware-vix-disklib",
    "/usr/lib/vmware-vix-disklib-distrib",
    "/usr/lib/x86_64-linux-gnu/vmware-vix-disklib",
    "/usr/lib64/vmware-vix-disklib",
    "/opt/vmware-vix-disklib-distrib",
)
# In the order in which the plugin tries them; those of nbdkit 1.32 to 1.42 begin with 8.
NAMES = tuple(
    f"{folder}libvixDiskLib.so.{version}" for version in (9, 8, 7, 6) for folder in ("lib64/", "")
)


@dataclass(frozen=True)
class Library:
    """`libdir` is the plugin's parameter, `path` the library, `folder` its directory."""

    libdir: str
    path: str

    @property
    def folder(self) -> str:
        """The directory of all VDDK libraries."""
        return os.path.dirname(self.path)


def find(libdir: Optional[str] = None, places: Sequence[str] = PLACES) -> Library:
    """Find the library in `libdir`, by default in the usual places. Raises TransportError."""
    tried = [libdir] if libdir else list(places)
    for place in map(os.path.normpath, tried):
        for name in NAMES:
            path = os.path.join(place, name)
            if os.path.exists(path):
                return _checked(Library(place, path))
    raise TransportError(
        f"VMware's VDDK (libvixDiskLib.so.6 to .9) is not in {', '.join(tried)}: download VDDK"
        " from Broadcom, or install the package bareos-vmware-vix-disklib, and name its directory"
        " with vddk_libdir",
        id="vddk-missing",
    )


def _checked(found: Library) -> Library:
    if ":" in found.folder:
        raise TransportError(
            f"vddk_libdir {found.libdir} has a colon in it, which the loader does not take",
            id="vddk-libdir-colon",
        )
    return found
