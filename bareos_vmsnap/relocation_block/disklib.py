# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The functions of libvixDiskLib we need, from VMware's "Virtual Disk API Programming Guide".

The library is for x86_64 only, where a va_list is passed as a pointer.
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Optional

from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.transport.vddk import command

OK = 0
# The version that nbdkit requests: newer libraries behave like it.
_MAJOR, _MINOR = 6, 5
_CREDENTIALS_UID = 1
_SPEC_VMX = 0
_LONGEST_LINE = 2000  # bytes

_LogFunction = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p)


class _Credentials(ctypes.Structure):
    """A union; its largest member has three pointers."""

    _fields_ = (
        ("user", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("unused", ctypes.c_void_p),
    )


class ConnectParams(ctypes.Structure):
    """VixDiskLibConnectParams as of VDDK 6.7; older ones end earlier."""

    _fields_ = (
        ("vmx_spec", ctypes.c_char_p),
        ("server", ctypes.c_char_p),
        ("thumbprint", ctypes.c_char_p),
        ("private_use", ctypes.c_long),
        ("credentials_type", ctypes.c_int),
        ("credentials", _Credentials),
        ("port", ctypes.c_uint32),
        ("nfc_host_port", ctypes.c_uint32),
        ("vim_api_version", ctypes.c_char_p),
        ("reserved", ctypes.c_char * 8),
        ("state", ctypes.c_void_p),
        ("storage_object", ctypes.c_char_p * 3),
        ("spec_type", ctypes.c_int),
        ("later", ctypes.c_char * 256),  # in case it grows again
    )


class VddkLoadError(VmsnapError):
    """The library cannot be loaded or started; the message is the loader's or VDDK's."""

    id = "vddk-unloadable"


class DiskLib:
    """A loaded library. `sink` gets its log lines, and whether each is a warning or worse.

    `sink` is called on any of the library's threads.
    """

    def __init__(self, path: str, sink: Callable[[str, bool], None]) -> None:
        """Raises VddkLoadError."""
        try:
            self._library = ctypes.CDLL(path)
            self._init = self._function("InitEx")
            self._text = self._function("GetErrorText", ctypes.c_void_p)
            self._free_text = self._function("FreeErrorText", None)
            self._exit = self._function("Exit", None)
        except (OSError, AttributeError) as error:
            raise VddkLoadError(str(error)) from error
        # The library keeps pointers to these.
        self._logs = [_log_function(sink, grave=grave) for grave in (False, True, True)]

    @property
    def has_access(self) -> bool:
        """Whether it exports PrepareForAccess and EndAccess."""
        names = ("VixDiskLib_PrepareForAccess", "VixDiskLib_EndAccess")
        return all(hasattr(self._library, name) for name in names)

    def start(self, libdir: str, config: str) -> None:
        """Call InitEx. Raises VddkLoadError."""
        error = self._init(_MAJOR, _MINOR, *self._logs, libdir.encode(), config.encode())
        if error != OK:
            raise VddkLoadError(
                f"VixDiskLib_InitEx: {self.error_text(error)}", id="vddk-not-started"
            )

    def access(self, name: str, params: Any, identity: str) -> int:
        """Call PrepareForAccess or EndAccess; return the error, OK for none."""
        error: int = self._function(name)(params, identity.encode())
        return error

    def params(self, disk: VddkDisk) -> Any:
        """Return a pointer to the server, login and VM; its strings live as long as it does."""
        allocated = self._allocated()
        params = allocated.contents if allocated else ConnectParams()
        params.vmx_spec = f"moref={disk.vm}".encode()
        params.server = disk.server.encode()
        params.thumbprint = command.with_colons(disk.thumbprint).encode()
        params.credentials_type = _CREDENTIALS_UID
        params.credentials.user = disk.user.encode()
        params.credentials.password = disk.password.encode()
        params.port = disk.port
        if not allocated:
            params.spec_type = _SPEC_VMX
        return ctypes.pointer(params)

    def exit(self) -> None:
        """Call Exit: the library cannot be used afterwards."""
        self._exit()

    def error_text(self, error: int) -> str:
        """VDDK's message for an error number, with the number."""
        text = self._text(ctypes.c_uint64(error), None)
        if not text:
            return f"error {error}"
        message = ctypes.string_at(text).decode(errors="replace")
        self._free_text(ctypes.c_void_p(text))
        return f"{message} ({error})"

    def _allocated(self) -> Any:
        """A structure that the library allocates with the right size; None before VDDK 6.7."""
        if not hasattr(self._library, "VixDiskLib_AllocateConnectParams"):
            return None
        allocate = self._function("AllocateConnectParams", ctypes.POINTER(ConnectParams))
        return allocate()

    def _function(self, name: str, result: Optional[type] = ctypes.c_uint64) -> Any:
        function = getattr(self._library, f"VixDiskLib_{name}")
        function.restype = result
        return function


def _log_function(sink: Callable[[str, bool], None], *, grave: bool) -> Any:
    libc = ctypes.CDLL(None)
    libc.vsnprintf.argtypes = (
        *(ctypes.c_char_p, ctypes.c_size_t),
        *(ctypes.c_char_p, ctypes.c_void_p),
    )

    def log(form: bytes, arguments: int) -> None:
        line = ctypes.create_string_buffer(_LONGEST_LINE)
        libc.vsnprintf(line, _LONGEST_LINE, form, arguments)
        sink(line.value.decode(errors="replace").rstrip(), grave)

    return _LogFunction(log)
