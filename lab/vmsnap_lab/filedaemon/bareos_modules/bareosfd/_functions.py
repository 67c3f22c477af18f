# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The functions of the bareosfd module: what a plugin may ask of the core.

They know the core only on the thread that is inside one of the plugin's entry points (and on the
thread that brings the cancel): on threads of the plugin's own they raise RuntimeError.
"""

from __future__ import annotations

import functools
import operator
import threading
from typing import Any, Callable, Optional, Protocol

from vmsnap_lab.filedaemon.bareos_modules.bareosfd import _constants, _packets

_context = threading.local()


class Core(Protocol):
    """What stands behind the functions: one plugin instance of one job."""

    def get_value(self, variable: int) -> Any: ...
    def set_value(self, variable: int, value: Any) -> int: ...
    def job_message(self, level: int, text: str) -> None: ...
    def debug_message(self, level: int, text: str) -> None: ...
    def register_events(self, events: list[int]) -> int: ...
    def unregister_events(self, events: list[int]) -> int: ...
    def instance_count(self) -> int: ...
    def check_changes(self, packet: _packets.SavePacket) -> int: ...
    def accept_file(self, packet: _packets.SavePacket) -> int: ...
    def mark_seen(self, everything: bool, name: Optional[str], seen: bool) -> int: ...
    def change_fileset(self, function: str, item: Optional[str]) -> int: ...


def attach(core: Core) -> None:
    """Let the functions work on this thread."""
    _context.core = core


def _core() -> Core:
    core: Optional[Core] = getattr(_context, "core", None)
    if core is None:
        raise RuntimeError("bareosfd: plugin_ctx is unset")
    return core


def _int(value: Any) -> int:
    number = operator.index(value)
    if not -(2**31) <= number < 2**31:
        raise OverflowError("signed integer is out of range for a C int")
    return number


def _text(value: Any) -> Optional[str]:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"argument must be str or None, not {type(value).__name__}")
    if value is not None:
        value.encode()  # UnicodeEncodeError for what is no UTF-8
        if "\0" in value:
            raise ValueError("embedded null character")
    return value


def _answers_brc(function: Callable[..., int]) -> Callable[..., int]:
    """Functions that return a bRC also do so for a bad argument, with the exception left behind."""

    @functools.wraps(function)
    def checked(*arguments: Any) -> int:
        try:
            return function(*arguments)
        except (TypeError, ValueError, OverflowError) as error:
            message = (
                f"<built-in function {function.__name__}> returned a result with an exception set"
            )
            raise SystemError(message) from error

    return checked


def GetValue(variable: int, /) -> Any:
    """A value of the job, or None."""
    variable = _int(variable)
    return _core().get_value(variable)


@_answers_brc
def SetValue(variable: int, value: Any, /) -> int:
    """Works for bVarSinceTime, bVarCheckChanges and bVarFileSeen; others are bRC_Error."""
    variable = _int(variable)
    return _core().set_value(variable, value)


def JobMessage(level: int, message: Optional[str] = None, /) -> None:
    """A message for the job log; M_FATAL also fails the job at once."""
    level, text = _int(level), _text(message)
    core = _core()
    if text is not None:
        core.job_message(level, text)


def DebugMessage(level: int, message: Optional[str] = None, /) -> None:
    level, text = _int(level), _text(message)
    core = _core()
    if text is not None:
        core.debug_message(level, text)


@_answers_brc
def RegisterEvents(events: Any, /) -> int:
    """bRC_OK, or bRC_Error when no known event is among `events`."""
    return _core().register_events([operator.index(event) for event in events])


@_answers_brc
def UnRegisterEvents(events: Any, /) -> int:
    return _core().unregister_events([operator.index(event) for event in events])


def GetInstanceCount() -> int:
    return _core().instance_count()


@_answers_brc
def AddExclude(file: Optional[str] = None, /) -> int:
    return _change_fileset("AddExclude", file)


@_answers_brc
def AddInclude(file: Optional[str] = None, /) -> int:
    return _change_fileset("AddInclude", file)


@_answers_brc
def AddOptions(options: Optional[str] = None, /) -> int:
    return _change_fileset("AddOptions", options)


@_answers_brc
def AddRegex(item: Optional[str] = None, kind: int = 0, /) -> int:
    return _change_fileset("AddRegex", item)


@_answers_brc
def AddWild(item: Optional[str] = None, kind: int = 0, /) -> int:
    return _change_fileset("AddWild", item)


@_answers_brc
def NewOptions() -> int:
    return _core().change_fileset("NewOptions", None)


@_answers_brc
def NewInclude() -> int:
    return _core().change_fileset("NewInclude", None)


@_answers_brc
def NewPreInclude() -> int:
    return _core().change_fileset("NewPreInclude", None)


def _change_fileset(function: str, item: Optional[str]) -> int:
    text = _text(item)
    core = _core()
    return _constants.bRC_Error if text is None else core.change_fileset(function, text)


@_answers_brc
def CheckChanges(packet: _packets.SavePacket, /) -> int:
    """bRC_OK: to be saved; bRC_Seen: unchanged. As in Bareos the packet's times are ignored."""
    return _core().check_changes(packet)


@_answers_brc
def AcceptFile(packet: _packets.SavePacket, /) -> int:
    """bRC_OK: the FileSet of a loopback job excludes nothing."""
    return _core().accept_file(packet)


@_answers_brc
def SetSeenBitmap(everything: bool, name: Optional[str] = None, /) -> int:
    return _core().mark_seen(bool(everything), _text(name), True)


@_answers_brc
def ClearSeenBitmap(everything: bool, name: Optional[str] = None, /) -> int:
    return _core().mark_seen(bool(everything), _text(name), False)
