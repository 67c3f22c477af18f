# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Jobs of the loopback file daemon, and what they stored, for its callers."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional


class Message(NamedTuple):
    """A line of the job log. `type` is M_INFO, M_WARNING, M_ERROR, M_FATAL ...; `origin` is
    "plugin", "core" (the file daemon) or "director"."""

    type: str
    text: str
    origin: str


@dataclass
class PluginCall:
    """A call of one of the plugin's entry points.

    `arguments` and `outcome` (what the plugin left in the packet) hold only what is the same each
    time the same job runs. Equal successive calls are one entry, called `times` times. `result` is
    the return code; it is None when the plugin raised an exception, whose type `raised` names, and
    when the process died in the call. `thread` is "job" or, for the event of a cancel, "cancel".
    """

    name: str
    arguments: dict[str, Any]
    result: Optional[int] = None
    raised: Optional[str] = None
    outcome: dict[str, Any] = field(default_factory=dict)
    thread: str = "job"
    times: int = 1

    @property
    def label(self) -> str:
        """The name with the event or the I/O function: `plugin_io IO_READ`."""
        detail = self.arguments.get("event") or self.arguments.get("func")
        return f"{self.name} {detail}" if detail else self.name

    def same_as(self, other: PluginCall) -> bool:
        mine = (self.name, self.arguments, self.result, self.raised, self.outcome, self.thread)
        return mine == (
            other.name,
            other.arguments,
            other.result,
            other.raised,
            other.outcome,
            other.thread,
        )


@dataclass(frozen=True)
class CatalogFile:
    """A file in the catalog. `size` is what the plugin declared, `stored` what came, in bytes."""

    jobid: int
    file_index: int
    name: str
    type: int  # bareosfd.FT_*
    link: str
    size: int
    stored: int
    mtime: int
    stat: dict[str, int]


@dataclass(frozen=True)
class CatalogObject:
    """A restore object in the catalog. `length`: of the data, in bytes; `stored`: what Bareos
    keeps, the data or with `compression` 1 their zlib form."""

    jobid: int
    name: str
    type: int
    index: int
    plugin: str
    length: int
    compression: int
    stored: bytes

    @property
    def data(self) -> bytes:
        return zlib.decompress(self.stored) if self.compression else self.stored


@dataclass(frozen=True)
class CatalogJob:
    """A job in the catalog. `type`: B backup, R restore, C copy. Time: seconds since the epoch."""

    jobid: int
    name: str
    unique_name: str
    type: str
    level: str
    status: str
    start_time: float
    files: int
    bytes: int
    errors: int


@dataclass
class JobResult:
    """How a job ended. `status`: T ok, W warnings, E error, f fatal error, A canceled.

    `bytes`: stored or restored; of an estimate, the declared sizes. `crash`: the standard error
    of a plugin's process that died, or what would have made a whole bareos-fd die. `hazards`:
    what this job survived and a bareos-fd may not survive.
    """

    jobid: int
    name: str
    level: str
    status: str
    errors: int
    bytes: int
    messages: list[Message]
    files: list[CatalogFile]
    trace: list[PluginCall]
    crash: Optional[str] = None
    hazards: tuple[str, ...] = ()
