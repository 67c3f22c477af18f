# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The plugin with a record of the file daemon's calls: JSON lines in the file $VMSNAP_TRACE."""

from __future__ import annotations

import json
import os
from typing import Any, Callable

import bareosfd
from BareosFdWrapper import *  # noqa: F403
from BareosFdWrapper import BareosPlugin

from bareos_vmsnap.fd.plugin import VmsnapPlugin

BareosPlugin(VmsnapPlugin)

EVENTS = {number: name.decode() for name, number in bareosfd.bEventType.items()}
IO = {number: name.decode() for name, number in bareosfd.bIOPS.items()}


def _event(event: Any) -> dict[str, Any]:
    return {"event": EVENTS[event]}


def _object(rop: Any) -> dict[str, Any]:
    return {"object": rop.object_name, "index": rop.object_index}


def _saved(packet: Any) -> dict[str, Any]:
    return {"name": packet.fname, "type": packet.type}


def _restored(packet: Any) -> dict[str, Any]:
    return {"name": packet.ofname, "type": packet.type, "where": packet.where}


def _io(iop: Any) -> dict[str, Any]:
    details = {"func": IO[iop.func]}
    if details["func"] == "IO_OPEN":
        details.update(flags=iop.flags, mode=iop.mode, name=iop.fname)
    return details


def _name(name: Any) -> dict[str, Any]:
    return {"name": name}


def _nothing(*arguments: Any) -> dict[str, Any]:
    return {}


# Each entry point, what is recorded of its arguments, and whether after the call or before it.
ENTRY_POINTS = {
    "load_bareos_plugin": (_nothing, False),
    "parse_plugin_definition": (_nothing, False),
    "handle_plugin_event": (_event, False),
    "restore_object_data": (_object, False),
    "start_backup_file": (_saved, True),
    "end_backup_file": (_nothing, False),
    "plugin_io": (_io, False),
    "start_restore_file": (_nothing, False),
    "end_restore_file": (_nothing, False),
    "create_file": (_restored, False),
    "set_file_attributes": (_restored, False),
    "check_file": (_name, False),
    "get_acl": (_nothing, False),
    "set_acl": (_nothing, False),
    "get_xattr": (_nothing, False),
    "set_xattr": (_nothing, False),
}


def _recorded(
    name: str, entry: Callable[..., Any], describe: Callable[..., dict[str, Any]], afterwards: bool
) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        details = {} if afterwards else describe(*arguments)
        returned = entry(*arguments)
        if afterwards:
            details = describe(*arguments)
        with open(os.environ["VMSNAP_TRACE"], "a") as trace:
            trace.write(json.dumps({"call": name, **details, "returned": returned}) + "\n")
        return returned

    return call


for _entry, (_describe, _afterwards) in ENTRY_POINTS.items():
    globals()[_entry] = _recorded(_entry, globals()[_entry], _describe, _afterwards)
