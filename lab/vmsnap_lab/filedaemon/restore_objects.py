# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Restore objects on their way into the catalog, and what becomes of too large ones."""

from __future__ import annotations

import zlib
from typing import Any

from vmsnap_lab.filedaemon import result

_COMPRESS_ABOVE = 1000  # bytes
_MALFORMED_FROM = 1_000_000  # bytes of the whole message to the Director
_DEADLY_FROM = 10_000_000


class MalformedMessage(Exception):
    """The Director got an object it could not take; an object without content is left."""


class DirectorCrash(Exception):
    """An object so large that the Director died of it."""


def pack(jobid: int, header: dict[str, Any], data: bytes) -> result.CatalogObject:
    """The object as it gets into the catalog: compressed if that makes it smaller.

    Raises MalformedMessage and DirectorCrash.
    """
    stored, compression = data, 0
    if len(data) > _COMPRESS_ABOVE:
        packed = zlib.compress(data, 9)
        if len(packed) < len(data):
            stored, compression = packed, 1
    names = len(header["plugin"].encode()) + len(header["name"].encode())
    if len(stored) + names >= _DEADLY_FROM:
        raise DirectorCrash(f"restore object {header['name']!r} takes {len(stored)} bytes")
    if len(stored) + names >= _MALFORMED_FROM:
        raise MalformedMessage(f"restore object {header['name']!r} takes {len(stored)} bytes")
    return result.CatalogObject(
        jobid=jobid,
        name=header["name"],
        type=header["type"],
        index=header["index"],
        plugin=header["plugin"],
        length=len(data),
        compression=compression,
        stored=stored,
    )


def malformed(jobid: int, header: dict[str, Any]) -> result.CatalogObject:
    """What is left of an object that was too large."""
    return result.CatalogObject(
        jobid, header["name"], header["type"], header["index"], header["plugin"], 0, 0, b""
    )
