# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
# ruff: noqa: SIM115 - files are closed in plugin_io_close
"""A plugin that does what a script tells it, faults included. Option: script=PATH, a JSON file.

    {"items": [...], "faults": [...], "events": [...], "log": PATH, "dump": FOLDER}

items: what a backup offers, in order, each with "kind", "name" and optionally "mtime":
    reg: "size" of its content in BYTES, "declared" (st_size), "via" ("io", or the core reads a
        "file" or a "pipe"), "source" PATH or "command" for the pipe, "type" (a file type other than
        FT_REG), "acl" TEXT, "xattrs" {NAME: VALUE}
    dir: "link" when it differs from the name; lnk: "target"; object, config: "size", "index"
faults: {"at": LABEL, "nth": N, ...} with any of "raise": true, "message": "M_FATAL", "return": N,
    "none": true, "status": N, "errno": N, "create_status": N, "sleep": SECONDS, "kill": SIGNAL.
    LABEL is the entry point, with the event or the I/O function, as in "plugin_io IO_READ".
events: numbers of events to register besides those of the base class.
log: one JSON line for each call. dump: restored content, one file for each file restored.
restore_in_core: the core writes them. sink: a command that gets them instead. seek: heed IO_SEEK.
keep: names that check_file has seen.
"""

from __future__ import annotations

import json
import os
import random
import stat
import subprocess
import time
from typing import Any

import bareosfd
import BareosFdPluginBaseclass
from BareosFdWrapper import *  # noqa: F403
from BareosFdWrapper import BareosPlugin

IO = {number: name.decode() for name, number in bareosfd.bIOPS.items()}
EVENTS = {number: name.decode() for name, number in bareosfd.bEventType.items()}


def content(name: str, size: int) -> bytes:
    """The same bytes each time, different ones for each name."""
    return random.Random(name).randbytes(size)


def value(name: str) -> Any:
    return getattr(bareosfd, name) if isinstance(name, str) else name


@BareosPlugin
class Tracer(BareosFdPluginBaseclass.BareosFdPluginBaseclass):
    def __init__(self, plugindef: str) -> None:
        super().__init__(plugindef, ["script"])
        self.script: Any = None
        self.queue: list[dict[str, Any]] = []
        self.item: Any = None
        self.data: Any = None
        self.descriptor: Any = None
        self.feeder: Any = None
        self.sink: Any = None
        self.drain: Any = None
        self.counts: dict[str, int] = {}
        self.restored = 0
        self.attributes: list[tuple[str, str]] = []

    def parse_plugin_definition(self, plugindef: str) -> Any:
        returned = super().parse_plugin_definition(plugindef)
        if self.script is None and "script" in self.options:
            with open(self.options["script"]) as file:
                self.script = json.load(file)
            self.queue = list(self.script.get("items", []))
            if self.script.get("events"):
                bareosfd.RegisterEvents(self.script["events"])
        self.note("parse_plugin_definition", plugindef=plugindef)
        return self.fault("parse_plugin_definition", returned)

    def note(self, label: str, **arguments: Any) -> None:
        if self.script and self.script.get("log"):
            with open(self.script["log"], "a") as log:
                log.write(json.dumps({"call": label, **arguments}) + "\n")

    def fault(self, label: str, returned: int, packet: Any = None) -> Any:
        """What the script wants at this call, else `returned`."""
        self.counts[label] = self.counts.get(label, 0) + 1
        for fault in (self.script or {}).get("faults", []):
            if fault["at"] == label and fault.get("nth", 1) == self.counts[label]:
                return self.act(fault, returned, packet)
        return returned

    def act(self, fault: Any, returned: int, packet: Any) -> Any:
        if "sleep" in fault:
            end = time.monotonic() + fault["sleep"]
            while time.monotonic() < end:
                time.sleep(0.01)
        if "kill" in fault:
            os.kill(os.getpid(), fault["kill"])
            time.sleep(10)
        if "message" in fault:
            bareosfd.JobMessage(value(fault["message"]), "the script's message\n")
        if "raise" in fault:
            raise ValueError("the script's exception")
        if "status" in fault:
            packet.status = fault["status"]
        if "errno" in fault:
            packet.io_errno = fault["errno"]
        if "create_status" in fault:
            packet.create_status = value(fault["create_status"])
        if "none" in fault:
            return None
        return fault.get("return", returned)

    def handle_plugin_event(self, event: int) -> Any:
        label = f"handle_plugin_event {EVENTS[event]}"
        status = chr(bareosfd.GetValue(bareosfd.bVarJobStatus))
        self.note(label, status=status)
        return self.fault(label, bareosfd.bRC_OK)

    def restore_object_data(self, rop: Any) -> Any:
        self.note(
            "restore_object_data",
            name=rop.object_name,
            index=rop.object_index,
            length=rop.object_len,
            jobid=rop.jobid,
            same=bytes(rop.object) == content(rop.object_name, rop.object_len),
        )
        return self.fault("restore_object_data", bareosfd.bRC_OK)

    def start_backup_file(self, savepkt: Any) -> Any:
        self.note("start_backup_file", empty=savepkt.fname == "" and savepkt.type == 0)
        if not self.queue:
            return bareosfd.bRC_Stop
        item = self.item = self.queue.pop(0)
        self.attributes = list(item.get("xattrs", {}).items())
        now = int(time.time())
        savepkt.statp = bareosfd.StatPacket()
        savepkt.statp.st_mtime = savepkt.statp.st_ctime = item.get("mtime", now)
        savepkt.statp.st_size = item.get("declared", item.get("size", 0))
        savepkt.fname = item["name"]
        if item["kind"] in ("object", "config"):
            kinds = {"object": bareosfd.FT_RESTORE_FIRST, "config": bareosfd.FT_PLUGIN_CONFIG}
            savepkt.type = kinds[item["kind"]]
            savepkt.object_name = item["name"]
            savepkt.object = bytearray(content(item["name"], item["size"]))
            savepkt.object_len = item["size"]
            savepkt.object_index = item.get("index", 1)
        elif item["kind"] == "dir":
            savepkt.type = bareosfd.FT_DIREND
            savepkt.link = item.get("link", item["name"])
            savepkt.no_read = True
            savepkt.statp.st_mode = stat.S_IFDIR | 0o700
        elif item["kind"] == "lnk":
            savepkt.type = bareosfd.FT_LNK
            savepkt.link = item["target"]
            savepkt.no_read = True
            savepkt.statp.st_mode = stat.S_IFLNK | 0o777
        else:
            savepkt.type = item.get("type", bareosfd.FT_REG)
        return self.fault("start_backup_file", bareosfd.bRC_OK)

    def end_backup_file(self) -> Any:
        self.note("end_backup_file")
        more = bareosfd.bRC_More if self.queue else bareosfd.bRC_OK
        return self.fault("end_backup_file", more)

    def plugin_io(self, iop: Any) -> Any:
        label = f"plugin_io {IO[iop.func]}"
        self.note(label, fname=iop.fname, count=iop.count, flags=iop.flags, mode=iop.mode)
        returned = super().plugin_io(iop)
        return self.fault(label, returned, iop)

    def plugin_io_open(self, iop: Any) -> Any:
        if iop.flags & os.O_WRONLY:
            return self.open_sink(iop)
        via = self.item.get("via", "io")
        source = self.item.get("source")
        if via == "io":
            size = self.item["size"]
            self.data = open(source, "rb") if source else content(self.item["name"], size)
            return bareosfd.bRC_OK
        if via == "file":
            self.descriptor = iop.filedes = os.open(source, os.O_RDONLY)
        else:
            command = self.item.get("command") or ["cat", source]
            self.feeder = subprocess.Popen(command, stdout=subprocess.PIPE)
            iop.filedes = self.feeder.stdout.fileno()
        iop.status = bareosfd.iostat_do_in_core
        return bareosfd.bRC_OK

    def open_sink(self, iop: Any) -> Any:
        """A file below dump, or a process that gets the content on its standard input."""
        self.restored += 1
        if "sink" in self.script:
            command = self.script["sink"]
            self.drain = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            self.sink = self.drain.stdin
        else:
            self.sink = open(os.path.join(self.script["dump"], str(self.restored)), "wb")
        if self.script.get("restore_in_core") or "sink" in self.script:
            iop.filedes = self.sink.fileno()
            iop.status = bareosfd.iostat_do_in_core
        return bareosfd.bRC_OK

    def plugin_io_read(self, iop: Any) -> Any:
        if hasattr(self.data, "read"):
            iop.buf = bytearray(self.data.read(iop.count))
        else:
            iop.buf = bytearray(self.data[: iop.count])
            self.data = self.data[iop.count :]
        iop.status = len(iop.buf)
        return bareosfd.bRC_OK

    def plugin_io_write(self, iop: Any) -> Any:
        self.sink.write(iop.buf)
        iop.status = iop.count
        return bareosfd.bRC_OK

    def plugin_io_seek(self, iop: Any) -> Any:
        if self.script.get("seek"):
            os.lseek(self.sink.fileno(), iop.offset, iop.whence)
        return bareosfd.bRC_OK

    def plugin_io_close(self, iop: Any) -> Any:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
        if self.feeder is not None:
            self.feeder.stdout.close()
            self.feeder.wait()
            self.feeder = None
        if self.sink is not None:
            self.sink.close()
            self.sink = None
        if self.drain is not None:
            self.drain.wait()
            self.drain = None
        if hasattr(self.data, "close"):
            self.data.close()
        return bareosfd.bRC_OK

    def start_restore_file(self, cmd: str) -> Any:
        self.note("start_restore_file", cmd=cmd)
        return self.fault("start_restore_file", bareosfd.bRC_OK)

    def end_restore_file(self) -> Any:
        self.note("end_restore_file")
        return self.fault("end_restore_file", bareosfd.bRC_OK)

    def create_file(self, restorepkt: Any) -> Any:
        self.note(
            "create_file",
            ofname=restorepkt.ofname,
            olname=restorepkt.olname,
            where=restorepkt.where,
            type=restorepkt.type,
            replace=restorepkt.replace,
            file_index=restorepkt.file_index,
            data_stream=restorepkt.data_stream,
            size=restorepkt.statp.st_size,
            preset=restorepkt.create_status,
        )
        regular = restorepkt.type == bareosfd.FT_REG
        restorepkt.create_status = bareosfd.CF_EXTRACT if regular else bareosfd.CF_CREATED
        return self.fault("create_file", bareosfd.bRC_OK, restorepkt)

    def set_file_attributes(self, restorepkt: Any) -> Any:
        self.note("set_file_attributes", ofname=restorepkt.ofname)
        return self.fault("set_file_attributes", bareosfd.bRC_OK)

    def check_file(self, fname: str) -> Any:
        self.note("check_file", fname=fname)
        keep = fname in self.script.get("keep", [])
        return self.fault("check_file", bareosfd.bRC_Seen if keep else bareosfd.bRC_OK)

    def get_acl(self, acl: Any) -> Any:
        self.note("get_acl", fname=acl.fname)
        if self.item.get("acl"):
            acl.content = bytearray(self.item["acl"].encode())
        return self.fault("get_acl", bareosfd.bRC_OK)

    def set_acl(self, acl: Any) -> Any:
        self.note("set_acl", fname=acl.fname, content=acl.content.decode())
        return self.fault("set_acl", bareosfd.bRC_OK)

    def get_xattr(self, xattr: Any) -> Any:
        self.note("get_xattr", fname=xattr.fname)
        if self.attributes:
            name, text = self.attributes.pop(0)
            xattr.name, xattr.value = bytearray(name.encode()), bytearray(text.encode())
        more = bareosfd.bRC_More if self.attributes else bareosfd.bRC_OK
        return self.fault("get_xattr", more)

    def set_xattr(self, xattr: Any) -> Any:
        self.note("set_xattr", name=xattr.name.decode(), value=xattr.value.decode())
        return self.fault("set_xattr", bareosfd.bRC_OK)
