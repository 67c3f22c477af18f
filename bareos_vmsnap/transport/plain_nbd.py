# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Transport nbd: a server that others run, named by its URI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from bareos_vmsnap.transport.disks import NbdDisk
from bareos_vmsnap.transport.endpoint import Endpoint, TransportError

SCHEMES = ("nbd", "nbds", "nbd+unix", "nbds+unix")


@contextmanager
def serve(disk: NbdDisk, *, writable: bool) -> Iterator[Endpoint]:
    """Yield the endpoint of a URI. Raises TransportError.

    Only connecting shows whether the server allows writing.
    """
    try:
        parts = urlsplit(disk.uri)
    except ValueError:
        raise TransportError("transport nbd: uri is malformed") from None
    if parts.scheme not in SCHEMES:
        raise TransportError(f"transport nbd: uri must start with one of {', '.join(SCHEMES)}")
    # Neither the user name nor other query parameters belong in messages.
    place = parts.hostname or "".join(parse_qs(parts.query).get("socket", ["?"]))
    yield Endpoint(disk.uri, f"NBD server {place}", disk.connections)
