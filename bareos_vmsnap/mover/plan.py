# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The plan as the mover understands it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Optional, Union

from bareos_vmsnap.mover import wire
from bareos_vmsnap.mover.child.errors import PlanError
from bareos_vmsnap.mover.child.record_spool import RecordSpool
from bareos_vmsnap.stream import layout, payload

METHODS = ("cbt", "allocated", "full", "compare", "link", "audit")
SECTOR = 512
# VMware's guide suggests timeouts of three minutes for its NFC connections.
KEEPALIVE = 60.0
# Chunks of a disk under way. A server that takes 5 ms for each is kept busy at 2 GB/s by that many.
IN_FLIGHT = 12
MAX_IN_FLIGHT = 256
# At most so many pieces of a chunk can differ each for itself: the format bounds how far frames
# may fall behind (layout.WINDOW).
MAX_GRANULES = 256


@dataclass(frozen=True)
class ReadPlan:
    """What to read: the source, and how to find what belongs in the segment. Sizes in bytes.

    `link` is the source's own delta file without its parents, for the method of that name.
    At most `in_flight` chunks are asked for at a time, over all connections; idle ones are used
    every `keepalive` seconds.
    """

    source: Mapping[str, Any]
    header: Mapping[str, Any]
    capacity: int
    method: str
    base: Optional[Mapping[str, Any]] = None
    keep_zeros: bool = False
    compression: str = "lz4"
    # Of the reference mix 2 takes 10 % less CPU than 1 for a stream 1.9 % larger; 4 takes 20 % less
    # for 4.5 % (docs/performance.md).
    acceleration: int = 2
    granularity: int = 64 << 10
    chunk: int = 1 << 20
    request: int = 2 << 20
    connections: Optional[int] = None
    in_flight: int = IN_FLIGHT
    rate: int = 0  # bytes per second to read at most, 0: no limit
    keepalive: float = KEEPALIVE
    link: Optional[Mapping[str, Any]] = None

    @property
    def keeps_zeros(self) -> bool:
        """Whether all that was read goes into the segment: a base may hold data where zeros are."""
        return self.keep_zeros if self.method == "allocated" else not self.compares

    @property
    def compares(self) -> bool:
        """Whether a base is read too, and only what differs goes into the segment."""
        return self.method in ("compare", "audit")

    @property
    def asks_allocation(self) -> bool:
        """Whether the servers' allocation maps add to the given extents; an audit keeps to them."""
        return self.method not in ("cbt", "audit", "link")

    @property
    def disks(self) -> list[Mapping[str, Any]]:
        """The endpoints that are read from: the source, and the base where there is one."""
        return [self.source] if self.base is None else [self.source, self.base]


@dataclass(frozen=True)
class WritePlan:
    """Where a segment goes, and what its header must hold; `in_flight` writes at a time at most.

    Sizes in bytes.
    """

    target: Mapping[str, Any]
    capacity: int
    expect: Optional[Mapping[str, Any]] = None
    drop_zeros: bool = False
    readback: bool = False
    request: int = 2 << 20
    in_flight: int = IN_FLIGHT
    rate: int = 0  # bytes per second to write at most, 0: no limit
    keepalive: float = KEEPALIVE


Plan = Union[ReadPlan, WritePlan]


def receive(descriptor: int) -> tuple[Plan, RecordSpool]:
    """Read the plan and its extents from the plan pipe, to its end. Raises PlanError."""
    with os.fdopen(descriptor, "rb") as pipe:
        (length,) = wire.LENGTH.unpack(_exactly(pipe, wire.LENGTH.size))
        if length > wire.MAX_PLAN:
            raise PlanError(f"plan of {length} bytes, at most {wire.MAX_PLAN} are allowed")
        plan = parse(json.loads(_exactly(pipe, length)))
        return plan, _extents(pipe)


def parse(fields: dict[str, Any]) -> Plan:
    """Return the plan of a JSON object; absent keys have the defaults of the classes."""
    operation = fields.pop("operation", None)
    given = {key: value for key, value in fields.items() if value is not None}
    try:
        if operation == "read":
            return _checked_read(ReadPlan(**given))
        if operation == "write":
            return _checked_write(WritePlan(**given))
    except TypeError as error:
        # Names of keys, never their values: those may hold secrets.
        raise PlanError(f"plan to {operation}: {error}") from error
    raise PlanError(f"unknown operation {operation!r}")


def _checked_read(plan: ReadPlan) -> ReadPlan:
    _require(isinstance(plan.source, dict), "source is not an object")
    _require(isinstance(plan.header, dict), "header is not an object")
    _require(plan.base is None or isinstance(plan.base, dict), "base is not an object")
    _require(plan.method in METHODS, f"unknown method {plan.method!r}")
    _require(plan.compression in payload.COMPRESSIONS, f"unknown compression {plan.compression!r}")
    _range("capacity", plan.capacity, 0, layout.MAX_CAPACITY)
    _range("chunk", plan.chunk, SECTOR, layout.MAX_CHUNK)
    _range("request", plan.request, SECTOR, 64 << 20)
    _range("in_flight", plan.in_flight, 1, MAX_IN_FLIGHT)
    _range("rate", plan.rate, 0, 1 << 40)
    _range("acceleration", plan.acceleration, 1, 65537)
    if plan.connections is not None:
        _range("connections", plan.connections, 1, 64)
    _require(plan.chunk % SECTOR == 0, "chunk is not a multiple of 512")
    _require((plan.base is not None) == plan.compares, "base goes with method compare or audit")
    _require(plan.link is None or isinstance(plan.link, dict), "link is not an object")
    _require((plan.link is not None) == (plan.method == "link"), "link goes with method link")
    _seconds("keepalive", plan.keepalive)
    if plan.compares:
        _check_granularity(plan.granularity, plan.chunk)
    return plan


def _check_granularity(granularity: Any, chunk: int) -> None:
    _range("granularity", granularity, SECTOR, chunk)
    _require(granularity % SECTOR == 0, "granularity is not a multiple of 512")
    _require(chunk % granularity == 0, "chunk is not a multiple of granularity")
    _require(
        chunk // granularity <= MAX_GRANULES, f"granularity is less than chunk / {MAX_GRANULES}"
    )


def _checked_write(plan: WritePlan) -> WritePlan:
    _require(isinstance(plan.target, dict), "target is not an object")
    _require(plan.expect is None or isinstance(plan.expect, dict), "expect is not an object")
    _range("capacity", plan.capacity, 0, layout.MAX_CAPACITY)
    _range("request", plan.request, SECTOR, 64 << 20)
    _range("in_flight", plan.in_flight, 1, MAX_IN_FLIGHT)
    _range("rate", plan.rate, 0, 1 << 40)
    _seconds("keepalive", plan.keepalive)
    return plan


def _require(fulfilled: bool, problem: str) -> None:
    if not fulfilled:
        raise PlanError(problem)


def _range(name: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise PlanError(f"{name} must be an integer from {low} to {high}")


def _seconds(name: str, value: Any) -> None:
    if type(value) not in (int, float) or not 0 < value <= 86400:
        raise PlanError(f"{name} must be a number of seconds, at most a day")


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise PlanError("plan was cut off")
    return data


def _extents(pipe: BinaryIO) -> RecordSpool:
    spool = RecordSpool(wire.PAIR)
    size, tail = 0, b""
    for data in iter(lambda: pipe.read(64 << 10), b""):
        size += len(data)
        data = tail + data
        spool.extend_packed(data[: -wire.PAIR.size])
        tail = data[-wire.PAIR.size :]
    if tail != wire.END or size % wire.PAIR.size:
        raise PlanError("list of extents was cut off")
    return spool
