# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One Python plugin in one job: loads its module and calls its entry points.

An exception in any entry point of the plugin is a fatal job message and bRC_Error. An entry
point that returns None (or anything else but an int) leaves an exception behind, of which the next
entry point dies, whichever it is.
"""

from __future__ import annotations

import importlib
import operator
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Callable, Optional

from vmsnap_lab.filedaemon import bareos_modules
from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.bareos_modules.bareosfd import _functions
from vmsnap_lab.filedaemon.job import control, core, definition, items, packets, trace

NAMES = ("python3", "python")  # what plugin strings for this plugin begin with
NO_RESULT = -1  # what None and other returned objects become that are no int
_ALSO_WHEN_STOPPED = frozenset({bareosfd.bEventEndBackupJob, bareosfd.bEventEndRestoreJob})
_EVENTS = {number: name.decode() for name, number in bareosfd.bEventType.items()}
_IO = {number: name.decode() for name, number in bareosfd.bIOPS.items()}


class Plugin:
    """Several Plugin lines of one FileSet share it, and the object that the module made."""

    def __init__(self, jcr: control.JobControl, calls: trace.Trace) -> None:
        self.core = core.PluginCore(jcr)
        self.restore_file_started = False
        self._jcr = jcr
        self._trace = calls
        self._definition = definition.DefinitionParser()
        self._functions: dict[str, Any] = {}
        self._left_behind: Optional[TypeError] = None
        self._uid = os.getuid()

    def parse_definition(self, text: str) -> int:
        """A plugin string came: load the module if it is the first, hand the options on."""
        options = self._split(text)
        if options is None:
            return bareosfd.bRC_Error
        if not self._definition.loaded:
            returned = self._load(options)
            if returned != bareosfd.bRC_OK:
                return returned
        return self._call("parse_plugin_definition", {"plugindef": options}, options)

    def push_options(self, text: str) -> None:
        """Plugin options of a restore. They are kept until a plugin string loads the module."""
        self.parse_definition(text)
        self._definition.push(text)

    def restore_object_data(self, restored: items.RestoredObject) -> None:
        """One object of the previous job or of the jobs to restore; it may load the module."""
        if self._jcr.is_stopped():
            return
        if (
            not self._definition.loaded
            and self.parse_definition(restored.plugin) != bareosfd.bRC_OK
        ):
            return
        packet = packets.restore_object(restored)
        self._call("restore_object_data", restored.describe(), packet)

    def raise_event(self, event: int) -> None:
        """The plugin's return code has no effect."""
        if event not in self.core.events or not self._definition.loaded:
            return
        if self._jcr.is_stopped() and event not in _ALSO_WHEN_STOPPED:
            return
        if event == bareosfd.bEventEndRestoreJob and self.restore_file_started:
            self.end_restore_file()
            self.restore_file_started = False
        self._call("handle_plugin_event", {"event": _EVENTS[event]}, event)

    def start_backup_file(self, item: items.SaveItem, cmd: str) -> int:
        """Fills `item` when the result is bRC_OK; marks unchanged ones as FT_NOCHG."""
        packet = packets.save_packet(item, cmd)

        def read(returned: int) -> dict[str, Any]:
            if returned != bareosfd.bRC_OK:
                return {}
            packets.read_save_packet(packet, item)
            return item.describe()

        returned = self._call("start_backup_file", {}, packet, after=read)
        if returned != bareosfd.bRC_OK or self._jcr.job.level == bareosfd.L_FULL:
            return returned
        if self.core.unchanged(item.accurate_name, item.stat, item.save_time):
            began = item.type == bareosfd.FT_DIRBEGIN
            item.type = bareosfd.FT_DIRNOCHG if began else bareosfd.FT_NOCHG
        return returned

    def end_backup_file(self) -> int:
        return self._call("end_backup_file", {})

    def start_restore_file(self, cmd: str) -> int:
        return self._call("start_restore_file", {"cmd": cmd}, cmd)

    def end_restore_file(self) -> int:
        return self._call("end_restore_file", {})

    def check_file(self, name: str) -> int:
        return self._call("check_file", {"fname": name}, name)

    def create_file(self, item: items.RestoreItem) -> int:
        packet = packets.restore_packet(item, self._uid)

        def read(returned: int) -> dict[str, Any]:
            item.create_status = packet.create_status
            item.filedes = packet.filedes
            return {"create_status": packet.create_status}

        return self._call("create_file", item.describe(), packet, after=read)

    def set_file_attributes(self, item: items.RestoreItem) -> None:
        """What the plugin answers does not get back to the core."""
        packet = packets.restore_packet(item, self._uid)
        self._call("set_file_attributes", item.describe(), packet)

    def plugin_io(self, io: items.Io) -> int:
        """Sets io.status, io.errno, io.filedes and, for IO_READ, io.data."""
        packet = packets.io_packet(io)
        io.status = -1  # stays when the plugin fails

        def read(returned: int) -> dict[str, Any]:
            packets.read_io_packet(packet, io)
            return {"status": io.status}

        described = {"func": _IO[io.func], **io.describe()}
        return self._call("plugin_io", described, packet, after=read)

    def get_acl(self, name: str) -> tuple[int, Optional[bytes]]:
        packet = packets.acl_packet(name)
        content: list[Optional[bytes]] = [None]

        def read(returned: int) -> dict[str, Any]:
            content[0] = packets.read_acl_packet(packet)
            return {}

        return self._call("get_acl", {"fname": name}, packet, after=read), content[0]

    def set_acl(self, name: str, content: bytes) -> int:
        packet = packets.acl_packet(name, content)
        return self._call("set_acl", {"fname": name, "length": len(content)}, packet)

    def get_xattr(self, name: str) -> tuple[int, Optional[tuple[bytes, bytes]]]:
        packet = packets.xattr_packet(name)
        returned = self._call("get_xattr", {"fname": name}, packet)
        return returned, packets.read_xattr_packet(packet)

    def set_xattr(self, name: str, attribute: tuple[bytes, bytes]) -> int:
        described = {"fname": name, "name": attribute[0].decode(errors="backslashreplace")}
        return self._call("set_xattr", described, packets.xattr_packet(name, attribute))

    def _split(self, text: str) -> Optional[str]:
        try:
            return self._definition.parse(text)
        except definition.IllegalDefinition as error:
            self._jcr.message(bareosfd.M_FATAL, str(error), "plugin")
            return None

    def _load(self, options: str) -> int:
        parser = self._definition
        _prepend_path(str(Path(bareos_modules.__file__).parent))
        if parser.module_path is not None:
            _prepend_path(parser.module_path)
        if parser.module_name is None:
            return bareosfd.bRC_Error
        _functions.attach(self.core)
        try:
            self._functions = vars(importlib.import_module(parser.module_name))
        except BaseException as error:  # noqa: BLE001 - SystemExit, too, is the plugin's failure
            self._report(error)
            return bareosfd.bRC_Error

        def loaded(returned: int) -> dict[str, Any]:
            parser.loaded = True
            return {}

        return self._call("load_bareos_plugin", {"plugindef": options}, options, after=loaded)

    def _call(
        self,
        name: str,
        described: dict[str, Any],
        *arguments: Any,
        after: Optional[Callable[[int], dict[str, Any]]] = None,
    ) -> int:
        """The entry point's return code; bRC_Error when it raised or `after` refused its packet."""
        function = self._functions.get(name)
        if not callable(function):
            return bareosfd.bRC_Error
        _functions.attach(self.core)
        call = self._trace.enter(name, described)
        try:
            self._raise_left_behind(name)
            call.result = self._return_code(function(*arguments))
            if after is not None:
                call.outcome = after(call.result)
        except packets.BadPacket as refused:
            call.raised = type(refused.error).__name__
            self._report(refused.error)
        except BaseException as error:  # noqa: BLE001 - SystemExit, too, is the plugin's failure
            call.raised = type(error).__name__
            self._report(error)
        finally:
            self._trace.leave(call)
        return bareosfd.bRC_Error if call.raised or call.result is None else call.result

    def _return_code(self, returned: Any) -> int:
        try:
            return operator.index(returned)
        except TypeError as error:
            self._left_behind = error
            return NO_RESULT

    def _raise_left_behind(self, name: str) -> None:
        left_behind, self._left_behind = self._left_behind, None
        if left_behind is not None:
            message = f"<function {name}> returned a result with an exception set"
            raise SystemError(message) from left_behind

    def _report(self, error: BaseException) -> None:
        own = error.__traceback__ and error.__traceback__.tb_next
        text = "".join(traceback.format_exception(type(error), error, own))
        self._jcr.message(bareosfd.M_FATAL, f"bareosfd: {text}", "plugin")


def _prepend_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
