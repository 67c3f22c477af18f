# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A stand-in for Bareos' BareosFdPluginBaseclass: option parsing, defaults of the entry points.

Same names and signatures, same return values. Deviation: fewer debug messages.
"""

from __future__ import annotations

import base64
import collections
import os
import stat
import time
from typing import Any, Optional

import bareosfd
from bareosfd import *  # noqa: F403


def parse_plugindef_string(plugindef: str) -> dict[str, str]:
    """Options of `key=value:key=value`; of equal keys the first wins; `\\:` in a value: a colon."""
    options: dict[str, str] = {}
    pieces = collections.deque(plugindef.split(":"))
    while pieces:
        key, _, value = (part.strip() for part in pieces.popleft().partition("="))
        if key and not value:
            warning = f"ignoring option '{key}' with no value!\n"
            bareosfd.JobMessage(bareosfd.M_WARNING, warning)
        if not key or not value:
            continue
        while value.endswith("\\"):
            value = value[:-1] + ":" + pieces.popleft()  # an escape at the very end: IndexError
        options.setdefault(key, value)
    return options


def parse_options_file(path: str) -> dict[str, str]:
    """The options of a file of `key=value` lines; {} with M_FATAL for a malformed line.

    Lines that begin with `#`, `;` or `[` are skipped, a `\\` at the end joins the next line. The
    last of equal keys wins. Raises OSError.
    """
    options: dict[str, str] = {}
    with open(path) as file:
        lines = collections.deque(file)
    while lines:
        line = lines.popleft()
        key, _, value = (part.strip() for part in line.partition("="))
        if key.startswith(("#", ";", "[")) or not (key or value):
            continue
        if not key or not value:
            error = f"error parsing '{line.strip()}' (found no key or value)!\n"
            bareosfd.JobMessage(bareosfd.M_FATAL, error)
            return {}
        while value.endswith("\\"):
            value = value[:-1] + lines.popleft().strip()
        if key in options:
            warning = f"duplicate option '{key}' overriding previous value!\n"
            bareosfd.JobMessage(bareosfd.M_WARNING, warning)
        options[key] = value
    return options


def get_config_path() -> str:
    """The folder of the file daemon's configuration, "/" when there is none."""
    used = bareosfd.GetValue(bareosfd.bVarUsedConfig)
    if used.endswith("/*/*.conf"):
        path = used[: -len("*/*.conf")]
    elif os.path.isfile(used):
        path = os.path.dirname(used)
    else:
        path = "/"
    return path if os.path.isdir(path) else "/"


def transform_value(value: str, transform: str) -> str:
    """Decode the value of an option `key#transform`."""
    if transform != "enc":
        raise NameError("unknown transformation")
    return base64.b85decode(value).decode("utf-8")


class BareosFdPluginBaseclass:
    """What a plugin does that overrides nothing."""

    def __init__(self, plugindef: str, mandatory_options: Optional[list[str]] = None) -> None:
        bareosfd.RegisterEvents(
            [
                bareosfd.bEventJobEnd,
                bareosfd.bEventEndBackupJob,
                bareosfd.bEventEndFileSet,
                bareosfd.bEventHandleBackupFile,
                bareosfd.bEventStartBackupJob,
                bareosfd.bEventStartRestoreJob,
            ]
        )
        self.fdname = bareosfd.GetValue(bareosfd.bVarFDName)
        self.jobId = bareosfd.GetValue(bareosfd.bVarJobId)
        self.client = bareosfd.GetValue(bareosfd.bVarClient)
        self.since = bareosfd.GetValue(bareosfd.bVarSinceTime)
        self.level = bareosfd.GetValue(bareosfd.bVarLevel)
        self.jobName = bareosfd.GetValue(bareosfd.bVarJobName)
        self.shortName = self.jobName.rsplit(".", 3)[0]  # without .date_time_number
        self.workingdir = bareosfd.GetValue(bareosfd.bVarWorkingDir)
        self.configdir = get_config_path()
        self.startTime = int(time.time())
        self.FNAME = "undef"
        self.filetype = "undef"
        self.file: Any = None
        self.mandatory_options = mandatory_options

    def __str__(self) -> str:
        return (
            f"<{self.__class__}:fdname={self.fdname} jobId={self.jobId} client={self.client} "
            f"since={self.since:d} level={self.level:c} jobName={self.jobName} "
            f"workingDir={self.workingdir}>"
        )

    def _load_options_from_file(self, option_dict: dict[str, str], key: str) -> dict[str, str]:
        """Take `key` out of the options, read its file; M_FATAL and OSError if that fails."""
        if key not in option_dict:
            return {}
        if not hasattr(self, "configdir"):
            self.configdir = get_config_path()
            warning = "Plugin did not call BareosFdPluginBaseclass.__init__()"
            bareosfd.JobMessage(bareosfd.M_WARNING, warning)
        name = option_dict[key]
        try:
            options = parse_options_file(os.path.join(self.configdir, name))
        except OSError as error:
            message = f"While loading options file '{name}': {error}"
            bareosfd.JobMessage(bareosfd.M_FATAL, message)
            raise
        del option_dict[key]
        return options

    def _add_options(self, options: dict[str, str]) -> None:
        """Keep the options that are not known yet; ValueError for a transformation that fails."""
        for key, value in options.items():
            name, _, transform = key.partition("#")
            if transform:
                try:
                    value = transform_value(value, transform)
                except Exception as error:
                    raise ValueError(
                        f"Transformation {transform} of value '{value}' for key {name} "
                        f"failed: {error}"
                    ) from error
            self.options.setdefault(name if transform else key, value)

    def parse_plugin_definition(self, plugindef: str) -> int:
        """Read the options: overrides_file over the plugin string over defaults_file."""
        if not hasattr(self, "options"):
            self.options: dict[str, str] = {}
        options = parse_plugindef_string(plugindef)
        try:
            defaults = self._load_options_from_file(options, "defaults_file")
            overrides = self._load_options_from_file(options, "overrides_file")
        except OSError:
            return False
        try:
            self._add_options({**defaults, **options, **overrides})
        except ValueError as error:
            bareosfd.JobMessage(bareosfd.M_FATAL, str(error))
            return False
        return self.check_options(self.mandatory_options)

    def check_options(self, mandatory_options: Optional[list[str]] = None) -> int:
        """bRC_Error and M_FATAL when a mandatory option is missing."""
        for option in mandatory_options or ():
            if option not in self.options:
                message = f"Mandatory option '{option}' not defined.\n"
                bareosfd.JobMessage(bareosfd.M_FATAL, message)
                return bareosfd.bRC_Error
        return bareosfd.bRC_OK

    def plugin_io_open(self, IOP: Any) -> int:
        """Open the file of that name on this host; directories, links and fifos stay closed."""
        self.FNAME = IOP.fname
        self.fileType = _kind_of(self.FNAME)
        if self.fileType != "FT_REG":
            return bareosfd.bRC_OK
        try:
            if IOP.flags & (os.O_CREAT | os.O_WRONLY):
                os.makedirs(os.path.dirname(self.FNAME), exist_ok=True)
                self.file = open(self.FNAME, "wb")  # noqa: SIM115 - closed in plugin_io_close
            else:
                self.file = open(self.FNAME, "rb")  # noqa: SIM115
        except OSError:
            IOP.status = -1
            return bareosfd.bRC_Error
        return bareosfd.bRC_OK

    def plugin_io_close(self, IOP: Any) -> int:
        if self.fileType == "FT_REG":
            self.file.close()
        return bareosfd.bRC_OK

    def plugin_io_seek(self, IOP: Any) -> int:
        return bareosfd.bRC_OK

    def plugin_io_read(self, IOP: Any) -> int:
        IOP.io_errno = 0
        if self.fileType != "FT_REG":
            IOP.buf = bytearray()
            IOP.status = 0
            return bareosfd.bRC_OK
        IOP.buf = bytearray(IOP.count)
        try:
            IOP.status = self.file.readinto(IOP.buf)
        except OSError as error:
            message = f'Could not read {IOP.count} bytes from file {self.FNAME}. "{error}"'
            bareosfd.JobMessage(bareosfd.M_ERROR, message)
            IOP.io_errno = error.errno
            return bareosfd.bRC_Error
        return bareosfd.bRC_OK

    def plugin_io_write(self, IOP: Any) -> int:
        try:
            self.file.write(IOP.buf)
        except OSError as error:
            message = f'Could not write to file {self.FNAME}. "{error}"'
            bareosfd.JobMessage(bareosfd.M_ERROR, message)
            IOP.io_errno = error.errno
            IOP.status = 0
            return bareosfd.bRC_Error
        IOP.status = IOP.count
        IOP.io_errno = 0
        return bareosfd.bRC_OK

    def plugin_io(self, IOP: Any) -> Optional[int]:
        """IOP.fname is set for IO_OPEN only."""
        functions = {
            bareosfd.IO_OPEN: self.plugin_io_open,
            bareosfd.IO_CLOSE: self.plugin_io_close,
            bareosfd.IO_SEEK: self.plugin_io_seek,
            bareosfd.IO_READ: self.plugin_io_read,
            bareosfd.IO_WRITE: self.plugin_io_write,
        }
        return functions[IOP.func](IOP) if IOP.func in functions else None

    def handle_plugin_event(self, event: int) -> int:
        handlers = {
            bareosfd.bEventJobEnd: self.end_job,
            bareosfd.bEventEndBackupJob: self.end_backup_job,
            bareosfd.bEventEndFileSet: self.end_fileset,
            bareosfd.bEventStartBackupJob: self.start_backup_job,
            bareosfd.bEventStartRestoreJob: self.start_restore_job,
        }
        return handlers[event]() if event in handlers else bareosfd.bRC_OK

    def start_backup_job(self) -> int:
        return bareosfd.bRC_OK

    def end_job(self) -> int:
        """Not called for failed and canceled jobs."""
        return bareosfd.bRC_OK

    def end_backup_job(self) -> int:
        return bareosfd.bRC_OK

    def start_backup_file(self, savepkt: Any) -> int:
        return bareosfd.bRC_Stop

    def end_backup_file(self) -> int:
        return bareosfd.bRC_OK

    def end_fileset(self) -> int:
        return bareosfd.bRC_OK

    def start_restore_job(self) -> int:
        return bareosfd.bRC_OK

    def start_restore_file(self, cmd: str) -> int:
        return bareosfd.bRC_OK

    def end_restore_file(self) -> int:
        return bareosfd.bRC_OK

    def restore_object_data(self, ROP: Any) -> int:
        return bareosfd.bRC_OK

    def create_file(self, restorepkt: Any) -> int:
        """Leave it to the core to create the file, under its name on this host."""
        restorepkt.create_status = bareosfd.CF_CORE
        return bareosfd.bRC_OK

    def set_file_attributes(self, restorepkt: Any) -> int:
        return bareosfd.bRC_OK

    def check_file(self, fname: str) -> int:
        """With Accurate this drops every file that the job did not offer: bRC_Seen keeps it."""
        return bareosfd.bRC_OK

    def handle_backup_file(self, savepkt: Any) -> int:
        return bareosfd.bRC_OK

    def get_acl(self, acl: Any) -> int:
        return bareosfd.bRC_OK

    def set_acl(self, acl: Any) -> int:
        bareosfd.JobMessage(bareosfd.M_INFO, f"set_acl called with {acl}\n")
        return bareosfd.bRC_OK

    def get_xattr(self, xattr: Any) -> int:
        """bRC_More to be called again for the next attribute."""
        return bareosfd.bRC_OK

    def set_xattr(self, xattr: Any) -> int:
        bareosfd.JobMessage(bareosfd.M_INFO, f"set_xattr called with {xattr}\n")
        return bareosfd.bRC_OK


def _kind_of(path: str) -> str:
    if os.path.isdir(path):
        return "FT_DIR"
    if os.path.islink(path):
        return "FT_LNK"
    if os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
        return "FT_FIFO"
    return "FT_REG"
