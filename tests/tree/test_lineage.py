# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The rule of the two witnesses of ancestry."""

from __future__ import annotations

import dataclasses
import re
from typing import Optional

import pytest

from bareos_vmsnap.tree import lineage, method_ladder, model, plan_backup
from bareos_vmsnap.tree.observed import Observed
from tests.tree import trees

WHOLE = lineage.History()
GAP = lineage.History("the history has a gap")
BREAK = lineage.History(breaks=("a snapshot was reverted to", "a snapshot was reverted to"))
DOUBT = lineage.History(doubts=("a single host may lose it",))
LEFT, GONE = ("M2", "M1", "M0"), ("M0",)


def point(marker: Optional[str], without: Optional[str]) -> model.TimePoint:
    return model.TimePoint(
        id="T1",
        job="job.1",
        jobid=1,
        level="F",
        taken="2026-11-22T20:00:00",
        state="n1",
        current=None,
        snapshots=(),
        marker=marker,
        without_marker=without,
    )


@pytest.mark.parametrize(
    ("marker", "without", "markers", "history", "require", "why"),
    [
        # Both witnesses are there and agree.
        ("M1", None, LEFT, WHOLE, False, None),
        ("M1", None, LEFT, WHOLE, True, None),
        # What makes the history doubtful is what the marker proves.
        ("M1", None, LEFT, DOUBT, False, None),
        # Either says no.
        ("M1", None, GONE, WHOLE, False, "marker .* is gone"),
        ("M1", None, (), WHOLE, False, "marker .* is gone"),
        ("M1", None, GONE, BREAK, False, "marker .* is gone"),
        ("M1", None, LEFT, BREAK, False, "^since the previous backup: a snapshot was reverted to$"),
        ("M1", None, LEFT, GAP, False, "^the history has a gap$"),
        # Without the privilege for the marker, the history alone, if nothing is against it.
        (None, lineage.PRIVILEGE, GONE, WHOLE, False, None),
        (None, lineage.PRIVILEGE, GONE, WHOLE, True, "require_marker=yes"),
        (None, lineage.PRIVILEGE, GONE, BREAK, False, "reverted to"),
        (None, lineage.PRIVILEGE, GONE, GAP, False, "has a gap"),
        (None, lineage.PRIVILEGE, GONE, DOUBT, False, "not do alone: a single host"),
        # Without a marker for any other reason, nothing.
        (None, lineage.REFUSED, LEFT, WHOLE, False, "vSphere refused it then"),
        (None, lineage.DISTURBED, LEFT, WHOLE, False, "between the marker and the backup snapshot"),
        (None, None, LEFT, WHOLE, False, "a version without markers"),
    ],
)
def test_the_rule(
    marker: Optional[str],
    without: Optional[str],
    markers: tuple[str, ...],
    history: lineage.History,
    require: bool,
    why: Optional[str],
) -> None:
    found = lineage.distrust(point(marker, without), markers, history, require)
    if why is None:
        assert found is None
    else:
        assert re.search(why, found or ""), found


def test_a_new_snapshot_must_have_the_marker_itself() -> None:
    """The VM's state may have got it from elsewhere; what is based is the first new snapshot."""
    first = plan_backup.plan(trees.on_day(1, "A *\n"), trees.job(1), method_ladder.Policy())
    previous = trees.saved(first)
    seen = trees.on_day(2, "A\n  C *\n", froze="C")
    nodes = lineage.known(previous, seen)
    line, _ = lineage.line(previous, seen, nodes, WHOLE)
    assert line is not None and line.first == "snapshot-C"
    a, c = seen.snapshots
    bare = dataclasses.replace(seen, snapshots=(a, dataclasses.replace(c, markers=())))
    line, reason = lineage.line(previous, bare, nodes, WHOLE)
    assert line is None
    assert "is gone" in reason


def with_markers(seen: Observed, **markers: tuple[str, ...]) -> Observed:
    """Snapshots, by their names, that have these markers."""
    changed = [dataclasses.replace(s, markers=markers.get(s.name, ())) for s in seen.snapshots]
    state = dataclasses.replace(seen.state, markers=markers.get("state", ()))
    return dataclasses.replace(seen, snapshots=tuple(changed), state=state)


def test_a_marker_proves_if_only_what_follows_the_state_has_it() -> None:
    seen = trees.observed("A\n  B\n  C *\n")
    assert lineage.proves(with_markers(seen, A=("M1",), state=("M2", "M1")), "M2")
    assert not lineage.proves(with_markers(seen, A=("M1",), state=("M1",)), "M2")
    assert not lineage.proves(with_markers(seen, C=("M2",), state=("M2",)), "M2")
    assert not lineage.proves(with_markers(seen, B=("M2",), state=("M2",)), "M2")


def test_what_was_taken_after_the_backup_snapshot_may_have_the_marker() -> None:
    seen = with_markers(trees.observed("A\n  B\n    C *\n"), B=("M2",), C=("M2",), state=("M2",))
    a, b, c = seen.snapshots
    below = dataclasses.replace(b, parent=seen.state.moref)
    assert not lineage.proves(seen, "M2")
    assert lineage.proves(dataclasses.replace(seen, snapshots=(a, below, c)), "M2")


def test_the_time_point_has_what_the_next_job_needs() -> None:
    seen = dataclasses.replace(
        trees.on_day(1, "A *\n"), server="vc", marker=None, without_marker=lineage.PRIVILEGE
    )
    found = plan_backup.plan(seen, trees.job(1), method_ladder.Policy()).point
    assert (found.server, found.marker, found.without_marker) == ("vc", None, lineage.PRIVILEGE)
