# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Transports by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from bareos_vmsnap.transport.endpoint import Endpoint, TransportError

# Each module has serve(description, *, writable) -> context manager of an Endpoint. They are
# imported when asked for, since a transport may need what is not installed everywhere.
MODULES = {
    "nbd": "bareos_vmsnap.transport.plain_nbd",
    "qcow2": "bareos_vmsnap.transport.qcow2",
    "vddk": "bareos_vmsnap.transport.vddk",
}


def open_endpoint(
    description: Mapping[str, Any], *, writable: bool
) -> AbstractContextManager[Endpoint]:
    """Make a described disk reachable over NBD while the context lasts.

    Servers started for it end with the context and, should this process be killed, with the
    process. Call it in the main thread. Raises TransportError.
    """
    name = description.get("transport")
    if not isinstance(name, str) or name not in MODULES:
        known = ", ".join(sorted(MODULES))
        raise TransportError(f"unknown transport {name!r}, known are: {known}")
    module = importlib.import_module(MODULES[name])
    served: AbstractContextManager[Endpoint] = module.serve(description, writable=writable)
    return served
