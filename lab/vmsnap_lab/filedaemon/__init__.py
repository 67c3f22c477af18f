# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A loopback file daemon: drives a Bareos Python plugin exactly as bareos-fd does, without Bareos.

The names are imported when they are first used: the process of a job needs none of them, and every
job starts one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmsnap_lab.filedaemon.cancel import Cancel
    from vmsnap_lab.filedaemon.daemon import FileDaemon
    from vmsnap_lab.filedaemon.job_process import LoopbackError
    from vmsnap_lab.filedaemon.result import (
        CatalogFile,
        CatalogJob,
        CatalogObject,
        JobResult,
        Message,
        PluginCall,
    )
    from vmsnap_lab.filedaemon.volume import VolumeError, VolumeExtent

__all__ = [
    "PluginCall",
    "Cancel",
    "CatalogFile",
    "CatalogObject",
    "VolumeExtent",
    "FileDaemon",
    "CatalogJob",
    "JobResult",
    "LoopbackError",
    "Message",
    "VolumeError",
]

_MODULES = ("cancel", "daemon", "result", "job_process", "volume")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in _MODULES:
            found = getattr(importlib.import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
