# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Errors as an admin reads them: what failed, what was left behind, what to do.

Every message has an id, a few words that stay the same when its text changes. The ids are listed in
docs/troubleshooting.md. This module imports no module of ours, so that any of them can import it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Optional, Protocol

# What neither Bareos, a terminal nor XML can take as text: control characters besides tab and line
# ends, and halves of surrogate pairs (Python has bytes that are no UTF-8 as such).
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class VmsnapError(Exception):
    """Base of every failure an admin can meet. Messages hold no secret.

    Arguments:
        what: what failed, on which VM, disk or snapshot.
        left: what was left behind, or None if nothing was.
        todo: what the admin can do about it, or None.
        id: the message's id, such as "login-refused"; by default the class's.
    """

    id = ""

    def __init__(
        self,
        what: str,
        left: Optional[str] = None,
        todo: Optional[str] = None,
        *,
        id: Optional[str] = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.left = left
        self.todo = todo
        if id is not None:
            self.id = id

    def __str__(self) -> str:
        parts = [self.what]
        if self.left:
            parts.append(f"Left behind: {self.left}")
        if self.todo:
            parts.append(f"What to do: {self.todo}")
        return " ".join(part if part.endswith((".", "!", "?")) else part + "." for part in parts)


class OptionError(VmsnapError):
    """A plugin option is unknown, missing or malformed."""


class PreflightError(VmsnapError):
    """The VM cannot be backed up as it is."""


class BackupError(VmsnapError):
    """A backup could not save everything."""


class RestoreError(VmsnapError):
    """A restore could not bring everything back."""


class Canceled(VmsnapError):
    """The job was canceled; raised to end any wait."""

    id = "canceled"


class Notice(NamedTuple):
    """Something that may need a look, although nothing failed."""

    id: str
    text: str

    def __str__(self) -> str:
        return labelled(self.text, [self.id])


class Warn(Protocol):
    """Receives a warning: its id, its text and the ids of its causes."""

    def __call__(self, id: str, text: str, *causes: str) -> None: ...


def ids(error: Optional[BaseException]) -> list[str]:
    """The ids of an error and of its causes, outermost first, each once."""
    found: list[str] = []
    while error is not None:
        if isinstance(error, VmsnapError) and error.id and error.id not in found:
            found.append(error.id)
        error = error.__cause__
    return found


def labelled(text: str, ids: Iterable[str]) -> str:
    """A message as an admin sees it: the text, then the ids in brackets; all of it printable."""
    text = UNPRINTABLE.sub(lambda found: ascii(found.group())[1:-1], text)
    label = ", ".join(dict.fromkeys(ids))
    return f"{text} [{label}]" if label else text


def message(error: VmsnapError) -> str:
    """An error as an admin sees it, with its ids."""
    return labelled(str(error), ids(error))
