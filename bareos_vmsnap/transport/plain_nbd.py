# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Transport nbd: a server that somebody else runs, named by its URI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bareos_vmsnap.transport.endpoint import Endpoint, TransportError, check_keys

SCHEMES = ("nbd", "nbds", "nbd+unix", "nbds+unix")


@contextmanager
def serve(description: Mapping[str, Any], *, writable: bool) -> Iterator[Endpoint]:
    """Yield the endpoint of a URI (keys: uri; optional: connections, the most it takes at a time).

    Whether the server allows writing shows when connecting.
    """
    check_keys(description, {"uri": str}, {"connections": int})
    uri = description["uri"]
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise TransportError("transport nbd: uri is malformed") from None
    if parts.scheme not in SCHEMES:
        raise TransportError(f"transport nbd: uri must start with one of {', '.join(SCHEMES)}")
    # Neither the user name nor other query parameters belong in messages.
    place = parts.hostname or "".join(parse_qs(parts.query).get("socket", ["?"]))
    yield Endpoint(uri, f"NBD server {place}", description.get("connections"))
