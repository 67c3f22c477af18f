# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Dataclasses to JSON values and back: what the border between processes and the manifest rest on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bareos_vmsnap import dataclass_json, method_names
from bareos_vmsnap.mover.child import plan_intake
from bareos_vmsnap.mover.child.errors import PlanError
from bareos_vmsnap.mover.plan import Plan, ReadPlan, WritePlan
from bareos_vmsnap.mover.report import Admitted, Alive, Event, Failure, Queued, Ready, Report
from bareos_vmsnap.relocation_block.plan import BlockPlan
from bareos_vmsnap.transport.disks import ConnectionLimit, NbdDisk, Qcow2Disk, VddkDisk

_limits = st.tuples(st.builds(ConnectionLimit, st.integers(), st.text(), st.integers(), st.text()))
_vddk = st.builds(VddkDisk, limits=_limits, transport=st.just("vddk"))
_disks = st.one_of(
    st.builds(NbdDisk, limits=_limits, transport=st.just("nbd")),
    st.builds(Qcow2Disk, limits=_limits, transport=st.just("qcow2")),
    _vddk,
)
_header = st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.text()))
_plans = st.one_of(
    st.builds(ReadPlan, _disks, _header, base=st.none() | _disks, link=st.none() | _disks),
    st.builds(WritePlan, _disks, expect=st.none() | _header),
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


def _plan(**change: Any) -> dict[str, Any]:
    plan = ReadPlan(Qcow2Disk("/disk"), {}, 512, method_names.CBT)
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
        ({"operation": "burn"}, "none of ReadPlan, WritePlan"),
    ],
)
def test_what_is_no_plan_is_refused(change: dict[str, Any], problem: str) -> None:
    assert plan_intake.parse(_plan())
    with pytest.raises(PlanError, match=problem):
        plan_intake.parse(_plan(**change))


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


def test_newer_keys_are_passed_over_unless_strict() -> None:
    assert dataclass_json.decode(_Sample, {"numbers": [1], "new": 2}) == _Sample((1,))
    with pytest.raises(dataclass_json.MismatchError, match="unknown keys new"):
        dataclass_json.decode(_Sample, {"new": 2}, strict=True)
    with pytest.raises(dataclass_json.MismatchError, match=".kind: expected 'a' or 'b'"):
        dataclass_json.decode(_Sample, {"kind": "c"})
    with pytest.raises(dataclass_json.MismatchError, match=r".numbers\[1\]: expected int"):
        dataclass_json.decode(_Sample, {"numbers": [1, "2"]})
