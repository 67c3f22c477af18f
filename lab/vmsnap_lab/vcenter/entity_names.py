# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Names of inventory objects."""

from __future__ import annotations

import re
from typing import Any

from pyVmomi import vim

LONGEST = 80  # characters, as the user wrote them
_ESCAPES = {"%": "%25", "/": "%2f", "\\": "%5c"}
_PLAIN = re.compile(r"%(?!25|2f|5c)|[/\\]", re.IGNORECASE)
_ESCAPED = re.compile(r"%(25|2f|5c)", re.IGNORECASE)


def escape(name: str) -> str:
    """A name as the inventory stores and shows it: `/`, `\\` and `%` are escaped.

    Escapes already there are kept, in lower case.
    """
    lowered = _ESCAPED.sub(lambda match: match.group(0).lower(), name)
    return _PLAIN.sub(lambda match: _ESCAPES[match.group(0)], lowered)


def checked(name: str, entity: Any = None) -> str:
    """The escaped form of a name; raises InvalidName for an empty or overlong one."""
    plain = _ESCAPED.sub("_", name)
    if not name or len(plain) > LONGEST:
        raise vim.fault.InvalidName(
            name=name, entity=entity, msg=f"The name '{name}' is not valid."
        )
    return escape(name)
