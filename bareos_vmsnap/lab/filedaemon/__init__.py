# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A loopback file daemon: drives a Bareos Python plugin exactly as bareos-fd does, without Bareos."""

from __future__ import annotations

from bareos_vmsnap.lab.filedaemon.cancel import Cancel
from bareos_vmsnap.lab.filedaemon.daemon import FileDaemon
from bareos_vmsnap.lab.filedaemon.result import (
    Call,
    CatalogFile,
    CatalogObject,
    Job,
    JobResult,
    Message,
)
from bareos_vmsnap.lab.filedaemon.session import LoopbackError
from bareos_vmsnap.lab.filedaemon.volume import Extent

__all__ = [
    "Call",
    "Cancel",
    "CatalogFile",
    "CatalogObject",
    "Extent",
    "FileDaemon",
    "Job",
    "JobResult",
    "LoopbackError",
    "Message",
]
