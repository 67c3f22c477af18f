# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A stand-in for Bareos' BareosFdWrapper: entry points of the plugin module, for one object.

The plugin module imports all names of this one, and the file daemon finds its entry points there.
"""

from __future__ import annotations

from typing import Any, Optional

import bareosfd

bareos_fd_plugin_object: Any = None
PLUGIN_CLASS: Optional[type] = None

__all__ = [
    "BareosPlugin",
    "bareos_fd_plugin_object",
    "check_file",
    "create_file",
    "end_backup_file",
    "end_restore_file",
    "get_acl",
    "get_xattr",
    "handle_backup_file",
    "handle_plugin_event",
    "load_bareos_plugin",
    "parse_plugin_definition",
    "plugin_io",
    "restore_object_data",
    "set_acl",
    "set_file_attributes",
    "set_xattr",
    "start_backup_file",
    "start_restore_file",
]


def add_to_all(thing: Any) -> Any:
    """Export `thing` to plugin modules."""
    if thing.__name__ not in __all__:
        __all__.append(thing.__name__)
    return thing


def BareosPlugin(plugin_class: type) -> type:
    """Class decorator: the entry points serve an object of this class."""
    global PLUGIN_CLASS
    PLUGIN_CLASS = plugin_class
    return plugin_class


def load_bareos_plugin(plugindef: str) -> int:
    global bareos_fd_plugin_object
    bareos_fd_plugin_object = PLUGIN_CLASS(plugindef)  # type: ignore[misc]
    return bareosfd.bRC_OK


def parse_plugin_definition(plugindef: str) -> Any:
    return bareos_fd_plugin_object.parse_plugin_definition(plugindef)


def handle_plugin_event(event: int) -> Any:
    return bareos_fd_plugin_object.handle_plugin_event(event)


def start_backup_file(savepkt: Any) -> Any:
    return bareos_fd_plugin_object.start_backup_file(savepkt)


def end_backup_file() -> Any:
    return bareos_fd_plugin_object.end_backup_file()


def start_restore_file(cmd: str) -> Any:
    return bareos_fd_plugin_object.start_restore_file(cmd)


def end_restore_file() -> Any:
    return bareos_fd_plugin_object.end_restore_file()


def restore_object_data(rop: Any) -> Any:
    return bareos_fd_plugin_object.restore_object_data(rop)


def plugin_io(iop: Any) -> Any:
    return bareos_fd_plugin_object.plugin_io(iop)


def create_file(restorepkt: Any) -> Any:
    return bareos_fd_plugin_object.create_file(restorepkt)


def set_file_attributes(restorepkt: Any) -> Any:
    return bareos_fd_plugin_object.set_file_attributes(restorepkt)


def check_file(fname: str) -> Any:
    return bareos_fd_plugin_object.check_file(fname)


def get_acl(acl: Any) -> Any:
    return bareos_fd_plugin_object.get_acl(acl)


def set_acl(acl: Any) -> Any:
    return bareos_fd_plugin_object.set_acl(acl)


def get_xattr(xattr: Any) -> Any:
    return bareos_fd_plugin_object.get_xattr(xattr)


def set_xattr(xattr: Any) -> Any:
    return bareos_fd_plugin_object.set_xattr(xattr)


def handle_backup_file(savepkt: Any) -> Any:
    return bareos_fd_plugin_object.handle_backup_file(savepkt)
