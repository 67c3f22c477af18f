# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Files that a plugin leaves to the core at restore (CF_CORE): created on this host, by name.

Deviation: regular files, links and directories only; others are an error.
"""

from __future__ import annotations

import os
from typing import Optional

from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import control, items, pluginfile

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_REGULAR = frozenset({bareosfd.FT_REG, bareosfd.FT_REGE})


def create(item: items.RestoreItem, file: pluginfile.PluginFile, jcr: control.JobControl) -> int:
    """CF_EXTRACT with `file` open (by the plugin's IO_OPEN), CF_CREATED, CF_SKIP or CF_ERROR."""
    refusal = _refusal(item)
    if refusal is not None:
        jcr.message(bareosfd.M_INFO, f"File skipped. {refusal}: {item.ofname}")
        return bareosfd.CF_SKIP
    try:
        return _create(item, file, jcr)
    except OSError as error:
        jcr.message(bareosfd.M_ERROR, f"Could not create {item.ofname}: ERR={error.strerror}")
        return bareosfd.CF_ERROR


def _refusal(item: items.RestoreItem) -> Optional[str]:
    """Why the replace policy keeps what exists under the name, None when it does not."""
    try:
        existing = int(os.lstat(item.ofname).st_mtime)
    except OSError:
        return None
    policy, ours = chr(item.replace), item.stat["st_mtime"]
    if policy == "n":
        return "Already exists"
    if policy == "w" and ours <= existing:
        return "Not newer"
    if policy == "o" and ours >= existing:
        return "Not older"
    return None


def _create(item: items.RestoreItem, file: pluginfile.PluginFile, jcr: control.JobControl) -> int:
    if item.type == bareosfd.FT_DIREND:
        os.makedirs(item.ofname, exist_ok=True)
        return bareosfd.CF_CREATED
    if item.type not in _REGULAR and item.type not in (bareosfd.FT_LNK, bareosfd.FT_LNKSAVED):
        jcr.message(bareosfd.M_ERROR, f"unhandled type: {item.type}")
        return bareosfd.CF_ERROR
    if os.path.lexists(item.ofname):
        os.unlink(item.ofname)
    os.makedirs(os.path.dirname(item.ofname) or "/", exist_ok=True)
    if item.type == bareosfd.FT_LNK:
        os.symlink(item.olname, item.ofname)
        return bareosfd.CF_CREATED
    if item.type == bareosfd.FT_LNKSAVED:
        os.link(item.olname, item.ofname)
        return bareosfd.CF_CREATED
    if not file.open(item.ofname, _FLAGS, 0):
        error = os.strerror(file.errno)
        jcr.message(bareosfd.M_ERROR, f"Could not create {item.ofname}: ERR={error}")
        return bareosfd.CF_ERROR
    return bareosfd.CF_EXTRACT
