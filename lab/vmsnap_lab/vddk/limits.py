# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How many disks may be open at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.vix_errors import VixError, VixFailure


class Opened(Protocol):
    """A disk that is open, over the network."""

    @property
    def host(self) -> object: ...

    @property
    def buffers(self) -> int: ...


def check(
    opened: Sequence[Opened],
    host: object,
    buffers: int,
    habits: VddkHabits,
    *,
    through_vcenter: bool,
) -> None:
    """Whether one more disk with `buffers` bytes of NFC buffers fits. Raises VixFailure.

    The limits of VMware's programming guide: connections through a vCenter, disks in parallel on
    a host, memory of a host for NFC buffers. They do not hold for SAN and HotAdd.
    """
    there = [other for other in opened if other.host is host]
    if through_vcenter and len(opened) >= habits.connections:
        raise VixFailure(
            VixError.HOST_NETWORK_CONN_REFUSED,
            f"[NFC ERROR] NfcNewAuthdConnectionEx: Failed to connect: {len(opened)} connections "
            "are open",
        )
    if len(there) >= habits.host_disks:
        raise VixFailure(
            VixError.HOST_NETWORK_CONN_REFUSED,
            f"[NFC ERROR] NfcNewAuthdConnectionEx: Failed to connect: {len(there)} disks are open "
            "on the host",
        )
    if sum(other.buffers for other in there) + buffers > habits.host_memory:
        raise VixFailure(
            VixError.OUT_OF_MEMORY,
            "[NFC ERROR] NfcFssrvrProcessErrorMsg: received NFC error 5 from server: Failed to "
            f"allocate the requested {buffers} bytes",
        )
