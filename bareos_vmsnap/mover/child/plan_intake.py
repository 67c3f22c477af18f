# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reads the plan in the mover's process, and checks it."""

from __future__ import annotations

import json
import os
from typing import Any, BinaryIO

from bareos_vmsnap import dataclass_json, method_names
from bareos_vmsnap.mover import plan as plans
from bareos_vmsnap.mover import wire
from bareos_vmsnap.mover.child.errors import PlanError
from bareos_vmsnap.mover.child.record_spool import RecordSpool
from bareos_vmsnap.mover.plan import Plan, ReadPlan, WritePlan
from bareos_vmsnap.stream import layout

_SECTOR = 512
_DAY = 86400
# At most this many pieces of a chunk can become frames of their own: the format limits how far
# frames may fall behind (layout.WINDOW).
_MAX_GRANULES = 256


def receive(descriptor: int) -> tuple[Plan, RecordSpool]:
    """Read the plan and its extents to the end of the plan pipe. Raises PlanError."""
    with os.fdopen(descriptor, "rb") as pipe:
        (length,) = wire.LENGTH.unpack(_exactly(pipe, wire.LENGTH.size))
        if length > wire.MAX_PLAN:
            raise PlanError(f"plan of {length} bytes, at most {wire.MAX_PLAN} are allowed")
        plan = parse(json.loads(_exactly(pipe, length)))
        return plan, _extents(pipe)


def parse(value: Any) -> Plan:
    """Return the plan of a JSON value. Raises PlanError, which names keys, never their values."""
    try:
        plan: Plan = dataclass_json.decode(Plan, value, strict=True)
    except dataclass_json.MismatchError as error:
        raise PlanError(f"plan: {error}") from error
    if isinstance(plan, ReadPlan):
        _check_read(plan)
    else:
        _check_write(plan)
    return plan


def _check_read(plan: ReadPlan) -> None:
    _range("chunk", plan.chunk, _SECTOR, layout.MAX_CHUNK)
    _require(plan.chunk % _SECTOR == 0, "chunk is not a multiple of 512")
    _range("lz4_acceleration", plan.lz4_acceleration, 1, plans.MAX_LZ4_ACCELERATION)
    _range("connections", plan.connections, 1, plans.MAX_CONNECTIONS)
    _require((plan.base is not None) == plan.compares, "base goes with method compare or audit")
    _require(
        (plan.link is not None) == (plan.method == method_names.LINK), "link goes with method link"
    )
    if plan.compares:
        _check_granularity(plan.granularity, plan.chunk)
    _check_common(plan)


def _check_granularity(granularity: int, chunk: int) -> None:
    _range("granularity", granularity, _SECTOR, chunk)
    _require(granularity % _SECTOR == 0, "granularity is not a multiple of 512")
    _require(chunk % granularity == 0, "chunk is not a multiple of granularity")
    _require(
        chunk // granularity <= _MAX_GRANULES, f"granularity is less than chunk / {_MAX_GRANULES}"
    )


def _check_write(plan: WritePlan) -> None:
    _check_common(plan)


def _check_common(plan: Plan) -> None:
    _range("capacity", plan.capacity, 0, layout.MAX_CAPACITY)
    _range("request_size", plan.request_size, plans.MIN_REQUEST_SIZE, plans.MAX_REQUEST_SIZE)
    _range("requests_in_flight", plan.requests_in_flight, 1, plans.MAX_REQUESTS_IN_FLIGHT)
    _range("rate_limit", plan.rate_limit, 0, plans.MAX_RATE_LIMIT)
    _require(0 < plan.keepalive <= _DAY, "keepalive must be a number of seconds, at most a day")


def _require(fulfilled: bool, problem: str) -> None:
    if not fulfilled:
        raise PlanError(problem)


def _range(name: str, value: int, low: int, high: int) -> None:
    _require(low <= value <= high, f"{name} must be from {low} to {high}")


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
