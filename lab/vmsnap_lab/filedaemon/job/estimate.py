# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The estimate command: asks the plugin for all items and reads none of them."""

from __future__ import annotations

import stat

from vmsnap_lab.filedaemon import streams
from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import control, items, plugin, storage

_COUNTED = frozenset(
    {
        bareosfd.FT_REGE,
        bareosfd.FT_REG,
        bareosfd.FT_LNK,
        bareosfd.FT_DIREND,
        bareosfd.FT_SPEC,
        bareosfd.FT_RAW,
        bareosfd.FT_FIFO,
        bareosfd.FT_LNKSAVED,
    }
)


def run(jcr: control.JobControl, python: plugin.Plugin, sd: storage.Listing) -> None:
    """The listing goes to the storage; sizes are those the plugin gives in st_size.

    Anything but bRC_OK from start_backup_file ends the line it was called for.
    """
    jcr.set_status("R")
    for line in jcr.job.plugins:
        if python.parse_definition(line) == bareosfd.bRC_OK:
            _list(line, jcr, python, sd)


def _list(line: str, jcr: control.JobControl, python: plugin.Plugin, sd: storage.Listing) -> None:
    more = bareosfd.bRC_More
    while more == bareosfd.bRC_More and not jcr.is_stopped():
        item = items.SaveItem(items.default_flags(jcr.job.sparse))
        if python.start_backup_file(item, line) != bareosfd.bRC_OK:
            return
        if item.type == 0:
            text = f'Command plugin "{line}": no type in startBackupFile packet.'
            jcr.message(bareosfd.M_FATAL, text)
            return
        if item.type in _COUNTED:
            _count(item, jcr, sd)
        more = python.end_backup_file()


def _count(item: items.SaveItem, jcr: control.JobControl, sd: storage.Listing) -> None:
    jcr.files += 1
    if stat.S_ISREG(item.stat["st_mode"]) and item.stat["st_size"] < 2**63:
        jcr.bytes += item.stat["st_size"]
    attributes = {
        "name": item.fname,
        "type": item.type,
        "link": item.link,
        "stat": item.stat,
        "data_stream": streams.FILE_DATA,
    }
    sd.send_json(jcr.files, streams.UNIX_ATTRIBUTES, attributes)
