# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Dataclasses to JSON values and back: what the border between processes and the manifest rest on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Optional, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bareos_vmsnap import dataclass_json, method_names
from bareos_vmsnap.mover.child import plan_intake
from bareos_vmsnap.mover.child.errors import PlanError
from bareos_vmsnap.mover.plan import Plan, ReadPlan, WritePlan
from bareos_vmsnap.mover.report import Admitted, Alive, Event, Failure, Queued, Ready, Report
from bareos_vmsnap.relocation_block.answers import Answer
from bareos_vmsnap.relocation_block.plan import BlockPlan
from bareos_vmsnap.transport.disks import ConnectionLimit, NbdDisk, Qcow2Disk, VddkDisk
from bareos_vmsnap.tree.segment_header import SegmentHeader, SegmentIdentity
from tests.tree.headers import HEADER, identity

_limits = st.tuples(st.builds(ConnectionLimit, st.integers(), st.text(), st.integers(), st.text()))
_vddk = st.builds(VddkDisk, limits=_limits, transport=st.just("vddk"))
_disks = st.one_of(
    st.builds(NbdDisk, limits=_limits, transport=st.just("nbd")),
    st.builds(Qcow2Disk, limits=_limits, transport=st.just("qcow2")),
    _vddk,
)
_headers = st.none() | st.builds(SegmentHeader)
_plans = st.one_of(
    st.builds(ReadPlan, _disks, _headers, base=st.none() | _disks, link=st.none() | _disks),
    st.builds(WritePlan, _disks, expect=st.none() | st.builds(SegmentIdentity)),
)


@given(_plans)
def test_a_plan_comes_over_the_border_as_it_was(plan: Plan) -> None:
    again = dataclass_json.decode(
        Plan, json.loads(json.dumps(dataclass_json.encode(plan))), strict=True
    )
    assert again == plan


@given(st.builds(BlockPlan, _vddk))
def test_a_relocation_block_too(plan: BlockPlan) -> None:
    again = dataclass_json.decode(
        BlockPlan, json.loads(json.dumps(dataclass_json.encode(plan))), strict=True
    )
    assert again == plan


_HEADER = dataclass_json.encode(HEADER)
_VDDK = dataclass_json.encode(VddkDisk("vc", 443, "backup", "secret", "00" * 20))


def _plan(**change: Any) -> dict[str, Any]:
    plan = ReadPlan(Qcow2Disk("/disk"), HEADER, 512, method_names.CBT)
    return {**dataclass_json.encode(plan), **change}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"colour": "red"}, "unknown keys colour"),
        ({"capacity": "much"}, ".capacity: expected int, found str"),
        ({"capacity": True}, ".capacity: expected int, found bool"),
        ({"keep_zeros": 1}, ".keep_zeros: expected bool"),
        ({"keepalive": "long"}, ".keepalive: expected float"),
        ({"source": {"transport": "tape"}}, ".source: none of NbdDisk, Qcow2Disk, VddkDisk"),
        ({"source": {"transport": "nbd"}}, ".source: .*uri"),
        (
            {"source": {"transport": "nbd", "uri": "nbd://h", "more": 1}},
            ".source: unknown keys more",
        ),
        ({"source": None}, ".source: expected an object"),
        ({"source": {**_VDDK, "compression": "lzma"}}, ".source.compression: expected 'none' or "),
        ({"operation": "burn"}, "none of ReadPlan, WritePlan"),
        ({"method": "guess"}, ".method: expected 'cbt' or 'allocated' or "),
        ({"compression": "zip"}, ".compression: expected 'lz4' or 'none'"),
        ({"header": {}}, ".header: .*missing"),
        ({"header": {**_HEADER, "more": 1}}, ".header: unknown keys more"),
        ({"header": {**_HEADER, "disk": None}}, ".header.disk: expected an object"),
        (
            {"header": {**_HEADER, "segment": {**_HEADER["segment"], "capacity": "512"}}},
            ".header.segment.capacity: expected int, found str",
        ),
    ],
)
def test_what_is_no_plan_is_refused(change: dict[str, Any], problem: str) -> None:
    assert plan_intake.parse(_plan())
    with pytest.raises(PlanError, match=problem):
        plan_intake.parse(_plan(**change))


_EXPECTED = dataclass_json.encode(identity(HEADER))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"node": "n1"}, ".expect: .*missing"),
        ({**_EXPECTED, "nod": "n1"}, ".expect: unknown keys nod"),
        ({**_EXPECTED, "disk": "2000"}, ".expect.disk: expected int, found str"),
        ({**_EXPECTED, "base": 7}, ".expect.base: expected str, found int"),
    ],
)
def test_nor_may_a_segment_be_expected_that_cannot_be(change: Any, problem: str) -> None:
    plan = dataclass_json.encode(WritePlan(Qcow2Disk("/disk"), 512, identity(HEADER)))
    assert plan_intake.parse(plan)
    with pytest.raises(PlanError, match=problem):
        plan_intake.parse({**plan, "expect": change})


@pytest.mark.parametrize("kind", [ReadPlan, WritePlan, BlockPlan, Answer, *get_args(Event)])
def test_mypy_knows_all_that_crosses_the_border(kind: Any) -> None:
    assert list(_untyped(kind, kind.__name__)) == []


def _untyped(kind: Any, place: str) -> Iterator[str]:
    """The places below a type about which mypy knows less than `dataclass_json` has to."""
    if dataclasses.is_dataclass(kind):
        for name, hint in get_type_hints(kind).items():
            yield from _untyped(hint, f"{place}.{name}")
    elif get_origin(kind) is Union or (get_origin(kind) is tuple and get_args(kind)[1:] == (...,)):
        for each in get_args(kind):
            yield from _untyped(each, place)
    elif get_origin(kind) is not Literal and kind not in (
        *(bool, int, float, str, type(None), ...),
    ):
        yield f"{place}: {kind}"


def test_what_is_untyped_is_seen() -> None:
    assert list(_untyped(_Sample, "_Sample")) == [
        "_Sample.more: collections.abc.Mapping[str, int]",
        "_Sample.anything: typing.Any",
    ]


@pytest.mark.parametrize("value", [None, [], 1, "read"])
def test_nor_is_any_other_value(value: Any) -> None:
    with pytest.raises(PlanError):
        plan_intake.parse(value)


_texts, _numbers = st.text(), st.integers(0, 1 << 70)
_events = st.one_of(
    st.builds(Queued, _texts),
    st.builds(Admitted, _texts, st.floats(0, 1e9)),
    st.builds(Alive),
    st.builds(Ready),
    st.builds(Failure, _texts, _texts),
    st.builds(Report, *[_numbers] * 5, _texts, st.tuples(_texts)),
)


@given(_events)
def test_so_does_all_that_a_mover_reports(event: Event) -> None:
    assert (
        dataclass_json.decode(
            Event, json.loads(json.dumps(dataclass_json.encode(event))), strict=True
        )
        == event
    )


@pytest.mark.parametrize(
    "line",
    [
        {"event": "success", "frames": "1"},
        {"event": "success"},
        {"event": "failure", "message": "x"},
        {"event": "ready", "more": 1},
        {"event": "lunch"},
        {"ready": True},
        [],
    ],
)
def test_what_is_no_report_is_refused(line: Any) -> None:
    with pytest.raises(dataclass_json.MismatchError):
        dataclass_json.decode(Event, line, strict=True)


def test_messages_show_no_values() -> None:
    secret = "correct-horse-battery"
    source = {**dataclass_json.encode(NbdDisk("nbd://h")), "uri": [secret]}
    with pytest.raises(PlanError) as caught:
        plan_intake.parse(_plan(source=source))
    assert secret not in str(caught.value)


@dataclass(frozen=True)
class _Sample:
    numbers: tuple[int, ...] = ()
    more: Optional[Mapping[str, int]] = None
    kind: Literal["a", "b"] = "a"
    choice: Union[int, None] = None
    anything: Any = None


def test_newer_keys_are_passed_over_unless_strict() -> None:
    assert dataclass_json.decode(_Sample, {"numbers": [1], "new": 2}) == _Sample((1,))
    with pytest.raises(dataclass_json.MismatchError, match="unknown keys new"):
        dataclass_json.decode(_Sample, {"new": 2}, strict=True)
    with pytest.raises(dataclass_json.MismatchError, match=".kind: expected 'a' or 'b'"):
        dataclass_json.decode(_Sample, {"kind": "c"})
    with pytest.raises(dataclass_json.MismatchError, match=r".numbers\[1\]: expected int"):
        dataclass_json.decode(_Sample, {"numbers": [1, "2"]})
