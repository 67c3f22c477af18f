# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A stand-in for the extension module bareosfd that a bareos-fd 25.1 gives its Python plugins.

Same names, numbers, packet types and type strictness. Deviations: functions that change the
FileSet are accepted without effect, since a loopback job has Plugin lines only; GetValue of
bVarCheckChanges returns a sound reference (the real one damages the interpreter with each call,
which JobResult.hazards reports instead).
"""

# ruff: noqa: F401 - everything imported here is what the module offers

from typing import Any as _Any

from vmsnap_lab.filedaemon.bareos_modules.bareosfd import _constants
from vmsnap_lab.filedaemon.bareos_modules.bareosfd._constants import *  # noqa: F403
from vmsnap_lab.filedaemon.bareos_modules.bareosfd._functions import (
    AcceptFile,
    AddExclude,
    AddInclude,
    AddOptions,
    AddRegex,
    AddWild,
    CheckChanges,
    ClearSeenBitmap,
    DebugMessage,
    GetInstanceCount,
    GetValue,
    JobMessage,
    NewInclude,
    NewOptions,
    NewPreInclude,
    RegisterEvents,
    SetSeenBitmap,
    SetValue,
    UnRegisterEvents,
)
from vmsnap_lab.filedaemon.bareos_modules.bareosfd._packets import (
    AclPacket,
    IoPacket,
    RestoreObject,
    RestorePacket,
    SavePacket,
    StatPacket,
    XattrPacket,
)


def _table(prefix: str) -> dict[bytes, _Any]:
    """All constants of a prefix; the real module's tables have bytes for text."""
    return {
        name.encode(): value.encode() if isinstance(value, str) else value
        for name, value in vars(_constants).items()
        if name.startswith(prefix)
    }


bRCs = _table("bRC_")
bJobMessageType = _table("M_")
bVariable = _table("bVar")
bFileType = _table("FT_")
bCFs = _table("CF_")
bEventType = _table("bEvent")
bIOPS = _table("IO_")
bIOPstatus = _table("iostat_")
bLevels = _table("L_")
