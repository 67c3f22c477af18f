# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Lines between the library and the lab; libvixDiskLib/message.h describes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Union
from urllib.parse import quote, unquote

from vmsnap_lab.vddk.vix_errors import VixError

Fields = dict[str, str]


class LibraryRequest(NamedTuple):
    name: str
    fields: Fields

    def number(self, name: str) -> int:
        return int(self.fields.get(name, "0"))


def parse(line: str) -> LibraryRequest:
    name, *words = line.rstrip("\n").split(" ")
    pairs = (word.partition("=") for word in words)
    # Paths that are not UTF-8 come through as they are.
    return LibraryRequest(
        name, {key: unquote(value, errors="surrogateescape") for key, _, value in pairs}
    )


def answer(
    error: VixError,
    fields: Iterable[tuple[str, Union[str, int]]] = (),
    warnings: Iterable[str] = (),
) -> bytes:
    pairs = [*fields, *(("warn", warning) for warning in warnings)]
    words = [str(int(error)), *(f"{key}={_encoded(value)}" for key, value in pairs)]
    return (" ".join(words) + "\n").encode("ascii")


def _encoded(value: Union[str, int]) -> str:
    return quote(str(value), safe="/:", errors="surrogateescape")
