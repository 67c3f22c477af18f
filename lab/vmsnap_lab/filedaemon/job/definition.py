# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How the file daemon takes a plugin string apart before Python sees any of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

_OWN = ("module_path", "module_name")


class IllegalDefinition(Exception):
    """The plugin string cannot be parsed; the job fails with this text."""


class DefinitionParser:
    """Splits `python3:module_path=...:module_name=...:option=value...`.

    module_path and module_name are kept here, everything else is handed on as the plugin's options.
    As in Bareos any leading part of the two names is taken for them: an option called "m" or
    "mod" never reaches the plugin.
    """

    def __init__(self) -> None:
        self.module_path: Optional[str] = None
        self.module_name: Optional[str] = None
        self.loaded = False
        self._pushed: Optional[str] = None

    def push(self, definition: str) -> None:
        """A restore's plugin options: put before the next definition's, until the module is loaded."""
        self._pushed = definition

    def parse(self, definition: str) -> str:
        """The plugin's options, each followed by a colon. Raises IllegalDefinition."""
        text = definition
        if self._pushed is not None and not self.loaded:
            _, colon, rest = definition.partition(":")
            if not colon:
                raise IllegalDefinition(f"Illegal plugin definition {definition}")
            text = self._pushed + ("" if self._pushed.endswith(":") else ":") + rest
        _, colon, arguments = text.partition(":")
        if not colon:
            raise IllegalDefinition(f"Illegal plugin definition {text}")
        options = [
            f"{name}={value}:" for name, value in _split(arguments) if not self._take(name, value)
        ]
        return "".join(options)

    def _take(self, name: str, value: str) -> bool:
        for own in _OWN:
            if own.startswith(name.lower()):
                if self._pushed is None or getattr(self, own) is None:
                    setattr(self, own, value.replace("\\", ""))
                return True
        return False


def _split(arguments: str) -> Iterator[tuple[str, str]]:
    """Name and value of each argument; a colon after a backslash belongs to the value."""
    position = 0
    while position < len(arguments):
        equals = arguments.find("=", position)
        if equals < 0:
            raise IllegalDefinition(f"Illegal argument {arguments[position:]} without value")
        end = arguments.find(":", equals + 1)
        while end > 0 and arguments[end - 1] == "\\":
            end = arguments.find(":", end + 1)
        if end < 0:
            end = len(arguments)
        yield arguments[position:equals], arguments[equals + 1 : end]
        position = end + 1
