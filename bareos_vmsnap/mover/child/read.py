# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The operation read: from a disk, and possibly its base, to a segment."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from itertools import chain
from typing import Any

from bareos_vmsnap import extents, transport
from bareos_vmsnap.mover.child import allocation
from bareos_vmsnap.mover.child.admission import admitted
from bareos_vmsnap.mover.child.dispatcher import Dispatcher
from bareos_vmsnap.mover.child.errors import AccountingError, NbdError, PlanError
from bareos_vmsnap.mover.child.nbd_connection import Connection
from bareos_vmsnap.mover.child.rate_limiter import RateLimiter
from bareos_vmsnap.mover.child.read_worker import ReadWorker, Selection
from bareos_vmsnap.mover.child.record_spool import RecordSpool
from bareos_vmsnap.mover.child.reporter import Reporter, report
from bareos_vmsnap.mover.child.segment_channel import SegmentChannel
from bareos_vmsnap.mover.child.selection import Different, Whole
from bareos_vmsnap.mover.child.work import Work
from bareos_vmsnap.mover.child.worker_threads import WorkerThreads
from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.mover.report import Report
from bareos_vmsnap.mover.wire import PAIR
from bareos_vmsnap.stream import payload
from bareos_vmsnap.transport import Endpoint
from bareos_vmsnap.transport.disks import DiskDescription

# The least chunks for each worker: a connection through VDDK takes seconds to open.
WORTH_A_WORKER = 4
TICK = 1.0  # seconds between checks of idle connections


def run(plan: ReadPlan, planned: RecordSpool, data: int, reporter: Reporter) -> Report:
    """Write the segment of a plan to the channel `data`, close it, and return the report.

    Raises MoverChildError, TransportError, and ConnectionError if nobody reads any longer; then
    threads may still be busy, so the process must end.
    """
    described = plan.header.to_json() if plan.header else {}
    header = {**described, "capacity": plan.capacity, "chunk": plan.chunk}
    notes: list[str] = []
    with ExitStack() as stack:
        admission = stack.enter_context(admitted(plan.disks, reporter))
        if plan.link:
            planned = _written_in(plan.link, plan, reporter)
        endpoints = [stack.enter_context(transport.open(d, writable=False)) for d in plan.disks]
        connect = partial(Connection, request=plan.request_size)
        asked = (allocation.BASE,) if plan.asks_allocation else ()
        first = [connect(endpoint, contexts=asked) for endpoint in endpoints]
        first[0].expect_size(plan.capacity)
        work = _find_work(plan, planned, first, notes, reporter)
        total = _total(work)
        per_worker = [first]
        while len(per_worker) < _worker_count(plan, first, total) and admission.another():
            try:
                per_worker.append([connect(beside.endpoint, beside=beside) for beside in first])
            except NbdError as failure:
                # Other programs have connections too, which are not counted here.
                notes.append(
                    f"reading with {len(per_worker)} instead of more connections: {failure.what}"
                )
                break
        reporter.ready()
        segment = _start_segment(data, header)
        _move(plan, work, total, per_worker, segment)
        notes += [text for c in chain.from_iterable(per_worker) for text in c.recovered]
        totals, stream_bytes = segment.finish(total if plan.keeps_zeros else None)
        os.close(data)
    return report(totals, stream_bytes, notes)


def _find_work(
    plan: ReadPlan,
    planned: RecordSpool,
    first: list[Connection],
    notes: list[str],
    reporter: Reporter,
) -> Work:
    block = max(connection.block for connection in first)
    if plan.chunk % block or (plan.compares and plan.granularity % block):
        raise PlanError(f"chunk and granularity must be multiples of the server's block, {block}")
    allocated = []

    def alive() -> None:
        reporter.alive()
        for connection in first:
            connection.stay_alive(plan.keepalive)

    for connection in first if plan.asks_allocation else []:
        # Everything at once: the first worker needs the connection.
        spool = RecordSpool(PAIR)
        spool.extend(allocation.data_ranges(connection, notes, alive))
        allocated.append(spool)
    return Work(plan, block, planned, allocated)


def _written_in(link: DiskDescription, plan: ReadPlan, reporter: Reporter) -> RecordSpool:
    """Return what was ever written to a delta disk's own file.

    Raises NbdError if that is all of it: VDDK also says so when it does not know.
    """
    written = RecordSpool(PAIR)
    with transport.open(link, writable=False) as endpoint:
        contexts = (allocation.BASE, allocation.DEPTH)
        connection = Connection(endpoint, request=plan.request_size, contexts=contexts)
        connection.expect_size(plan.capacity)
        written.extend(allocation.written_ranges(connection, reporter.alive))
        connection.close()
        if extents.total(written) == plan.capacity > allocation.ALIGNMENT:
            raise NbdError(
                f"{endpoint.name} calls all of it written, which may say nothing",
                id="allocation-unknown",
            )
    return written


def _total(work: Work) -> int:
    try:
        return work.total()
    except ValueError as error:
        raise PlanError(str(error)) from error


def _start_segment(data: int, header: dict[str, Any]) -> SegmentChannel:
    try:
        return SegmentChannel(data, header)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _worker_count(plan: ReadPlan, first: list[Connection], total: int) -> int:
    worth = max(1, -(-total // (WORTH_A_WORKER * plan.chunk)))
    allowed = (_connections(plan, connection.endpoint) for connection in first)
    return min(worth, *allowed)


def _connections(plan: ReadPlan, endpoint: Endpoint) -> int:
    return min(plan.connections, endpoint.connections or plan.connections)


def _move(
    plan: ReadPlan,
    work: Work,
    total: int,
    per_worker: list[list[Connection]],
    segment: SegmentChannel,
) -> None:
    granule = plan.granularity if plan.compares else plan.chunk
    dispatcher = Dispatcher(work.pieces(), plan.chunk, granule)
    selection = _selection(plan)
    rate_limiter = RateLimiter(plan.rate_limit)
    depth = max(1, plan.requests_in_flight // len(per_worker))
    workers = [
        ReadWorker(connections, dispatcher, selection, segment, rate_limiter, depth, plan.chunk)
        for connections in per_worker
    ]

    def tick() -> None:
        # Workers may have been waiting for the segment's reader for a long time.
        for connection in chain.from_iterable(per_worker):
            connection.stay_alive(plan.keepalive)

    try:
        WorkerThreads([worker.run for worker in workers]).wait(min(TICK, plan.keepalive / 2), tick)
    finally:
        dispatcher.stop()
    if dispatcher.done_bytes != total:
        raise AccountingError(f"{dispatcher.done_bytes} of {total} planned bytes were read")
    for connections in per_worker:
        for connection in connections:
            connection.close()


def _selection(plan: ReadPlan) -> Selection:
    pack = partial(payload.pack, compression=plan.compression, acceleration=plan.lz4_acceleration)
    if plan.compares:
        return Different(pack, plan.granularity)
    return Whole(pack, plan.keeps_zeros)
