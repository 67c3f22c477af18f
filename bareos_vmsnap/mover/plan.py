# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The plan of a mover: made in bareos-fd, carried out in the mover (standard library only).

Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional, Union

from bareos_vmsnap import method_names
from bareos_vmsnap.extents import CBT_BLOCK
from bareos_vmsnap.stream import layout
from bareos_vmsnap.transport.disks import DiskDescription
from bareos_vmsnap.tree.segment_header import SegmentHeader, SegmentIdentity

# VMware's guide suggests timeouts of three minutes for its NFC connections.
KEEPALIVE = 60.0
# Chunks in flight per disk: enough for 2 GB/s from a server that takes 5 ms for each.
REQUESTS_IN_FLIGHT = 12
MAX_REQUESTS_IN_FLIGHT = 256
# The size of a chunk: a larger request is never needed.
REQUEST_SIZE = MAX_REQUEST_SIZE = 1 << 20
MIN_REQUEST_SIZE = 64 << 10
MAX_RATE_LIMIT = 100_000 << 20
# On the reference mix, 2 takes 10 % less CPU than 1 for a stream 1.9 % larger; 4 takes 20 % less
# for one 4.5 % larger (docs/performance.md).
LZ4_ACCELERATION = 2
MAX_LZ4_ACCELERATION = 64
CONNECTIONS = 3
MAX_CONNECTIONS = 16


@dataclass(frozen=True)
class ReadPlan:
    """What to read, and how to find what belongs in the segment.

    `link` is the source's own delta file without its parents, for method link. At most
    `requests_in_flight` chunks are requested at a time, over all `connections`; idle connections
    are used every `keepalive` seconds. `rate_limit`: bytes per second, 0 for no limit. Without a
    `header`, the segment does not tell whose it is: for what is not kept.
    """

    source: DiskDescription
    header: Optional[SegmentHeader]
    capacity: int
    method: method_names.Method
    base: Optional[DiskDescription] = None
    link: Optional[DiskDescription] = None
    keep_zeros: bool = False
    compression: layout.Compression = layout.COMPRESSION
    lz4_acceleration: int = LZ4_ACCELERATION
    granularity: int = CBT_BLOCK
    chunk: int = 1 << 20
    connections: int = CONNECTIONS
    requests_in_flight: int = REQUESTS_IN_FLIGHT
    request_size: int = REQUEST_SIZE
    rate_limit: int = 0
    keepalive: float = KEEPALIVE
    operation: Literal["read"] = "read"

    @property
    def keeps_zeros(self) -> bool:
        """Whether all that is read goes into the segment: a base may hold data where zeros are."""
        if self.method == method_names.ALLOCATED:
            return self.keep_zeros
        return not self.compares

    @property
    def compares(self) -> bool:
        """Whether a base is read too, and only differences go into the segment."""
        return self.method in (method_names.COMPARE, method_names.AUDIT)

    @property
    def asks_allocation(self) -> bool:
        """Whether the servers' allocation maps add to the planned extents; not for an audit."""
        return self.method not in (method_names.CBT, method_names.AUDIT, method_names.LINK)

    @property
    def disks(self) -> list[DiskDescription]:
        """The disks to read: the source, and the base if there is one."""
        return [self.source] if self.base is None else [self.source, self.base]


@dataclass(frozen=True)
class WritePlan:
    """Where a segment goes, and which one it must be.

    `expect`: None for any segment; `drop_zeros`: the target already reads as zeros;
    `requests_in_flight`: writes at a time.
    """

    target: DiskDescription
    capacity: int
    expect: Optional[SegmentIdentity]
    drop_zeros: bool = False
    readback: bool = False
    requests_in_flight: int = REQUESTS_IN_FLIGHT
    request_size: int = REQUEST_SIZE
    rate_limit: int = 0
    keepalive: float = KEEPALIVE
    operation: Literal["write"] = "write"


Plan = Union[ReadPlan, WritePlan]
