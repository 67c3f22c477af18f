# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which options apply to a file being restored: those given at restore, then its Plugin line's.

Bareos loads the plugin with both in one string and later passes only the Plugin line of each
restore object and file. A selection may hold files of several Plugin lines, so the two are
separated here.
"""

from __future__ import annotations

import re
from typing import Optional

_ARGUMENT = re.compile(r"([^=]*)=((?:\\:|[^:])*)(?::|$)")
_OWN = ("module_path", "module_name")


class Definitions:
    """The option strings of a restore. `loaded` is the one that Bareos loaded the plugin with."""

    def __init__(self, loaded: str) -> None:
        self._loaded = loaded
        self._at_restore: Optional[str] = None

    def of(self, line: str) -> str:
        """The option string for what was saved by a Plugin line ("python3:module_name=...:...").

        The first call must pass the line of the first restore object or, without any, of the first
        file: `loaded` ends with that one.
        """
        own = options_of(line)
        if self._at_restore is None:
            # Options that name the module themselves are loaded alone, without any Plugin line.
            ends = bool(own) and self._loaded.endswith(own)
            self._at_restore = self._loaded[: -len(own)] if ends else self._loaded
        return self._at_restore + own

    @property
    def at_restore(self) -> str:
        """The options given at restore; known once of() has been called."""
        return self._at_restore or ""


def options_of(line: str) -> str:
    """What Bareos passes on of a Plugin line: all but the plugin's and the module's name and path.

    Each option ends with a colon. As in Bareos, any prefix of "module_path" or "module_name" counts
    as that name, and a backslash before a colon makes the colon part of the value.
    """
    _, _, arguments = line.partition(":")
    return "".join(
        f"{name}={value}:"
        for name, value in _ARGUMENT.findall(arguments)
        if not any(own.startswith(name.lower()) for own in _OWN)
    )
