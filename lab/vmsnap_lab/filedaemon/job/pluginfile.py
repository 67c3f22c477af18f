# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A file whose content a plugin provides or takes, by plugin_io or by a descriptor for the core."""

from __future__ import annotations

import errno
import os
from typing import Optional

from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import interrupt, items, plugin

_CLOSED = -1


class PluginFile:
    """Open, read, write, seek and close as the core does; `errno` is that of the last failure."""

    def __init__(self, python: plugin.Plugin, core_io: interrupt.CoreIo) -> None:
        self._plugin = python
        self._core_io = core_io
        self.filedes = _CLOSED
        self.in_core = False
        self.errno = 0
        self._buffer = memoryview(b"")

    @property
    def is_open(self) -> bool:
        return self.filedes >= 0

    def open(self, name: str, flags: int, mode: int) -> bool:
        """bRC_Error or a negative status is a failure. A core file needs a descriptor."""
        io = items.Io(bareosfd.IO_OPEN, fname=name, flags=flags, mode=mode, filedes=_CLOSED)
        returned = self._plugin.plugin_io(io)
        self.errno = io.errno
        if returned == bareosfd.bRC_Error:
            return False
        self.in_core = io.status == bareosfd.iostat_do_in_core
        self.filedes = io.filedes if self.in_core else 0
        return self.filedes != _CLOSED if self.in_core else io.status >= 0

    def close(self) -> None:
        """What the plugin answers is ignored. A core file's descriptor is the plugin's to close."""
        if not self.is_open:
            return
        io = items.Io(bareosfd.IO_CLOSE, filedes=self.filedes)
        self._plugin.plugin_io(io)
        self.errno = io.errno
        self.filedes = _CLOSED
        self.in_core = False

    def read(self, count: int) -> Optional[memoryview]:
        """Up to `count` bytes, valid until the next read; none at the end, None for an error.

        The plugin may return less than asked; from a descriptor the core reads until the count is
        reached or the end has come.
        """
        if self.in_core:
            return self._read_in_core(count)
        io = items.Io(bareosfd.IO_READ, count=count, filedes=self.filedes)
        self._plugin.plugin_io(io)
        self.errno = io.errno
        return None if io.status < 0 else memoryview(io.data)

    def write(self, data: memoryview) -> bool:
        """Whether all of it was taken, by the packet's status; the return code has no effect."""
        if self.in_core:
            return self._write_in_core(data)
        io = items.Io(bareosfd.IO_WRITE, count=len(data), data=data)
        self._plugin.plugin_io(io)
        self.errno = io.errno
        return io.status == len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        """Always a call of the plugin, also for a core file."""
        io = items.Io(bareosfd.IO_SEEK, offset=offset, whence=whence)
        self._plugin.plugin_io(io)
        self.errno = io.errno

    def _read_in_core(self, count: int) -> Optional[memoryview]:
        if count > len(self._buffer):
            self._buffer = memoryview(bytearray(count))
        buffer = self._buffer[:count]
        filled = 0
        try:
            with self._core_io.under_way():
                while filled < count:
                    got = os.readv(self.filedes, [buffer[filled:]])
                    if got == 0:
                        break
                    filled += got
        except interrupt.Interrupted:
            self.errno = errno.EINTR
            return None
        except OSError as error:
            self.errno = error.errno or errno.EIO
            return None
        return buffer[:filled]

    def _write_in_core(self, data: memoryview) -> bool:
        try:
            with self._core_io.under_way():
                while data:
                    data = data[os.write(self.filedes, data) :]
        except interrupt.Interrupted:
            self.errno = errno.EINTR
            return False
        except OSError as error:
            self.errno = error.errno or errno.EIO
            return False
        return True
