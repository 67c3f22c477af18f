# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From the texts of options to their values: parsers, which raise ValueError."""

from __future__ import annotations

import re
from typing import Callable
from urllib.parse import unquote

from bareos_vmsnap.errors import UNPRINTABLE
from bareos_vmsnap.transport import disks


def yes_no(text: str) -> bool:
    """yes or no."""
    if text.lower() not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text.lower() == "yes"


def number(low: int, high: int) -> Callable[[str], int]:
    """A whole number in this range."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]+", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def one_of(*values: str) -> Callable[[str], str]:
    """One of these texts."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError("must be " + " or ".join(values))
        return text

    return parse


def thumbprint(text: str) -> str:
    """A certificate's digest, with or without colons."""
    digits = text.replace(":", "")
    if len(digits) not in (40, 64, 128) or not re.fullmatch(r"[0-9A-Fa-f]+", digits):
        raise ValueError("must be a SHA-1, SHA-256 or SHA-512 digest in hexadecimal")
    return digits.lower()


def uri(text: str) -> str:
    """A URI, in which %XX may be used for any byte but control characters."""
    refuse_unprintable(unquote(text))
    return text


def refuse_unprintable(text: str) -> None:
    """Raise ValueError for control characters."""
    found = UNPRINTABLE.search(text)
    if found:
        raise ValueError(f"must not hold the control character {ascii(found.group())[1:-1]}")


def absolute(text: str) -> str:
    """An absolute path."""
    if not text.startswith("/"):
        raise ValueError("must be an absolute path")
    return text


def modes(text: str) -> str:
    """What `transport` means in Bareos' own VMware plugin: VDDK's transport modes."""
    found = text.split(":")
    if not set(found) <= set(disks.MODES) or len(set(found)) < len(found):
        raise ValueError(
            f"must be {', '.join(disks.MODES)}, or several of them with colons in between"
        )
    return text


def transport(text: str) -> str:
    """vddk, or what modes() takes."""
    if text == "vddk":
        return text
    try:
        return modes(text)
    except ValueError as error:
        raise ValueError(f"must be vddk, nbd (with nbd_uri), or a mode of VDDK: {error}") from None


def size(low: int, high: int, unit: int) -> Callable[[str], int]:
    """Bytes, given in multiples of `unit`."""
    multiple = number(low, high)
    return lambda text: multiple(text) * unit
