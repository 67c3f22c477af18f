# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The proof: random histories of users, jobs and vCenters; every restore must be exact."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any, Callable, Optional

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.proof.damage import KINDS, WAYS
from tests.proof.disturbed import DURING_BACKUPS, DURING_RESTORES
from tests.proof.jobs import LEVELS
from tests.proof.somebody import When
from tests.proof.world import World

WHICH = st.integers(0, 9)
NAMES = st.sampled_from(["s", "s", "other", "升级/测试", "a b", "%2f"])

Write = tuple[int, float, int, int]
WRITES = st.lists(
    st.tuples(
        WHICH,
        st.sampled_from([0.0, 0.1, 0.33, 0.5, 0.77, 1.0]),
        st.sampled_from([512, 4096, 65536, 131_074, 300_000]),
        st.integers(0, 5),
    ),
    max_size=3,
)
UPHEAVALS = [
    "reset_cbt",
    "cbt off",
    "cbt on",
    "cbt on",
    "migrate",
    "register_anew",
    "consolidate",
    "purge_events",
    "lose_events",
    "crashed_job",
    "crashed_job",
    "remove_all",
]

# Which daemon runs a job: mostly the first one.
BY = st.sampled_from([0, 0, 0, 1, 2])
# Before which of a job's calls somebody acts: any, or near the calls that matter.
BACKUP_WHEN = st.builds(
    When,
    st.sampled_from(
        [
            None,
            None,
            "ReconfigVM_Task",
            "CreateSnapshot_Task",
            "CreateSnapshot_Task",
            "QueryChangedDiskAreas",
            "RemoveSnapshot_Task",
        ]
    ),
    st.integers(0, 12),
) | st.builds(When, st.none(), st.floats(0, 1, width=16))
RESTORE_WHEN = st.builds(
    When,
    st.sampled_from(
        ["CreateVM_Task", "CreateSnapshot_Task", "RevertToSnapshot_Task", "RemoveSnapshot_Task"]
    ),
    st.integers(0, 60),
) | st.builds(When, st.none(), st.floats(0, 1, width=16))
CHOSEN = st.lists(WHICH, max_size=6)
HOURS = st.sampled_from([0, 0, 3, -3, 24 * 400, -24 * 400])

# What scripts/prove --only takes: what disturbs, by subject. Ordinary life is always on.
SUBJECTS = ("backups", "restores", "mixes", "damage", "daemons", "clocks", "events")
# The subjects that are on.
ON: set[str] = set(SUBJECTS)

# A method of World and its arguments.
Call = tuple[str, dict[str, Any]]
JOBS: dict[str, st.SearchStrategy[Call]] = {
    "backups": st.tuples(
        st.just("disturbed_backup"),
        st.fixed_dictionaries(
            {
                "level": st.sampled_from([*LEVELS, "Incremental"]),
                "by": BY,
                "deed": st.sampled_from(DURING_BACKUPS),
                "which": WHICH,
                "when": BACKUP_WHEN,
            }
        ),
    ),
    "restores": st.tuples(
        st.just("disturbed_restore"),
        st.fixed_dictionaries(
            {
                "which": WHICH,
                "deed": st.sampled_from(DURING_RESTORES),
                "choice": WHICH,
                "when": RESTORE_WHEN,
            }
        ),
    ),
    "mixes": st.tuples(
        st.just("restore_mix"),
        st.fixed_dictionaries(
            {
                "chosen": CHOSEN,
                "gathered": CHOSEN | st.just([]),
                "copied": st.just([]) | st.lists(WHICH, max_size=2),
                "asked": st.none() | WHICH,
                "without_objects": st.just([]) | st.lists(WHICH, max_size=3),
            }
        ),
    ),
    "damage": st.tuples(
        st.just("damaged_restore"),
        st.fixed_dictionaries(
            {
                "which": WHICH,
                "kind": st.sampled_from(KINDS),
                "way": st.sampled_from(list(WAYS)),
                "seed": st.integers(0, 2**32),
                "virtual": st.booleans(),
            }
        ),
    ),
}
DISTURBANCES = st.deferred(lambda: st.one_of([JOBS[name] for name in JOBS if name in ON]))


def _saved(machine: Any) -> bool:
    """There is something to disturb."""
    is_on = not ON.isdisjoint(JOBS)
    return is_on and machine.world is not None and machine.world.counts["jobs"] > 0


# Called after each history.
AFTER: list[Callable[[], None]] = []
# When to stop, by time.monotonic().
END = [math.inf]


class TimeIsUp(BaseException):
    """No more histories; hypothesis lets it pass."""


# Sums over every history of this process; scripts/prove prints them.
TOTALS: Counter[str] = Counter()


def subject(name: str) -> Callable[[Any], Any]:
    """The rule runs only if this subject is on."""
    return precondition(lambda machine: name in ON and machine.world is not None)


class LifeOfATree(RuleBasedStateMachine):
    """Each rule is one action of World; see there."""

    def __init__(self) -> None:
        super().__init__()
        self.world: Optional[World] = None

    def _work(self, writes: list[Write]) -> None:
        for disk, at, size, seed in writes:
            self.now.write(disk, at, size, seed)

    @initialize(
        disks=st.integers(1, 2),
        sizes=st.integers(0, 3),
        writes=WRITES,
        saved=st.sampled_from([True, True, True, False]),
        flavour=st.sampled_from(["vcenter", "vcenter", "esxi"]),
        number=st.integers(0, 2**32),
    )
    def begin(
        self,
        disks: int,
        sizes: int,
        writes: list[Write],
        saved: bool,
        flavour: str,
        number: int,
    ) -> None:
        assume(number > 0)  # the first history would be the dullest: the same step all the time
        if time.monotonic() > END[0]:
            raise TimeIsUp
        self.world = World(disks, sizes, flavour)
        self.world.counts[f"histories on {flavour}"] += 1
        self._work(writes)
        if saved:
            self.world.backup("Full")

    @property
    def now(self) -> World:
        assert self.world is not None
        self.world.counts["actions"] += 1
        return self.world

    @rule(writes=WRITES)
    def work(self, writes: list[Write]) -> None:
        self._work(writes)

    @rule(name=NAMES, writes=WRITES)
    def snapshot(self, name: str, writes: list[Write]) -> None:
        self._work(writes)
        self.now.snapshot(name)

    @rule(which=WHICH, writes=WRITES)
    def revert(self, which: int, writes: list[Write]) -> None:
        self.now.revert(which)
        self._work(writes)

    @rule(which=WHICH, below=st.sampled_from([False, False, True]))
    def remove(self, which: int, below: bool) -> None:
        self.now.remove(which, below)

    @rule(which=WHICH, name=NAMES)
    def rename(self, which: int, name: str) -> None:
        self.now.rename(which, name)

    @rule(
        what=st.sampled_from(["cpu", "add", "remove", "grow", "nic", "nvram"]),
        which=WHICH,
        size=st.integers(0, 3),
        cpus=st.integers(1, 4),
        memory=st.sampled_from([128, 256, 512]),
    )
    def hardware(self, what: str, which: int, size: int, cpus: int, memory: int) -> None:
        if what == "cpu":
            self.now.reconfigure(cpus, memory)
        elif what == "add":
            self.now.add_disk(size)
        elif what == "remove":
            self.now.remove_disk(which)
        elif what == "grow":
            self.now.grow_disk(which)
        elif what == "nic":
            self.now.add_nic()
        else:
            self.now.write_nvram(which)

    @rule(what=st.sampled_from(UPHEAVALS))
    def upheaval(self, what: str) -> None:
        if what in ("cbt on", "cbt off"):
            self.now.switch_cbt(what == "cbt on")
        else:
            getattr(self.now, what)()

    @rule(
        page=st.sampled_from([1, 3, 2000]),
        empty=st.booleans(),
        star=st.sampled_from(["allocated", "whole-disk", "fails"]),
        uuid=st.sampled_from(["keep", "new"]),
        sequence=st.sampled_from(["global", "reuse"]),
        merge=st.sampled_from(["removal", "consolidate"]),
        migration=st.booleans(),
        link=st.booleans(),
        witnesses=st.sampled_from(["both", "marker", "events"]),
        chains=st.booleans(),
        once=st.booleans(),
    )
    def habits(
        self,
        page: int,
        empty: bool,
        star: Any,
        uuid: Any,
        sequence: Any,
        merge: str,
        migration: bool,
        link: bool,
        witnesses: str,
        chains: bool,
        once: bool,
    ) -> None:
        self.now.without_cbt = "link" if link else "compare"
        habits = self.now.lab.habits
        habits.page_areas, habits.empty_pages, habits.merge_links = page, empty, merge
        habits.relocate_resets_tracking = migration
        habits.silent_reverts = witnesses == "marker"
        habits.revert_restores_options = witnesses != "events"
        habits.chain_zero = not chains
        habits.areas_once = once
        habits.cbt.star, habits.cbt.revert_uuid, habits.cbt.revert_sequence = star, uuid, sequence

    @rule(level=st.sampled_from([*LEVELS, "Incremental", "Incremental"]), writes=WRITES, by=BY)
    def backup(self, level: str, writes: list[Write], by: int) -> None:
        self._work(writes)
        self.now.backup(level, by=by if "daemons" in ON else 0)

    @rule(level=st.sampled_from(LEVELS), writes=WRITES)
    def backup_while_cbt_lies(self, level: str, writes: list[Write]) -> None:
        self._work(writes)
        self.now.backup_while_cbt_lies(level)

    @precondition(lambda self: self.world is not None and self.world.counts["jobs"] > 0)
    @rule(which=WHICH)
    def restore(self, which: int) -> None:
        self.now.restore(which)

    @precondition(lambda self: self.world is not None and self.world.counts["jobs"] > 0)
    @rule()
    def disaster(self) -> None:
        self.now.disaster()

    # Disturbances

    def _disturb(self, call: Call, writes: list[Write]) -> None:
        name, choices = call
        if "by" in choices and "daemons" not in ON:
            choices = {**choices, "by": 0}
        self._work(writes)
        getattr(self.now, name)(**choices)

    # Several rules, as each is as likely as one that does without a job.
    disturb = precondition(_saved)(rule(call=DISTURBANCES, writes=WRITES)(_disturb))
    disturb_2 = precondition(_saved)(rule(call=DISTURBANCES, writes=WRITES)(_disturb))
    disturb_3 = precondition(_saved)(rule(call=DISTURBANCES, writes=WRITES)(_disturb))
    disturb_4 = precondition(_saved)(rule(call=DISTURBANCES, writes=WRITES)(_disturb))
    disturb_5 = precondition(_saved)(rule(call=DISTURBANCES, writes=WRITES)(_disturb))
    disturb_6 = precondition(_saved)(rule(call=DISTURBANCES, writes=WRITES)(_disturb))

    @subject("clocks")
    @rule(which=BY, hours=HOURS)
    def clock(self, which: int, hours: int) -> None:
        """A file daemon's clock jumps; the Director's does not."""
        self.now.daemons[which].clock_ahead = 3600 * hours
        self.now.counts["clocks that jumped"] += 1

    @subject("events")
    @rule(
        most=st.sampled_from([None, 0, 1, 3, 10]),
        kept=st.sampled_from(["newest", "oldest"]),
        late=st.sampled_from([0.0, 0.0, 2.0, 3600.0]),
        anew=st.booleans(),
    )
    def events(self, most: Optional[int], kept: str, late: float, anew: bool) -> None:
        """From now on the list of events is cut, or late; its numbers begin anew."""
        habits = self.now.lab.habits
        habits.most_events, habits.kept_events, habits.events_late = most, kept, late
        if anew:
            self.now.lose_events()
        self.now.counts["changed lists of events"] += 1

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            self.world.remove_restored()  # where a rule has failed: its error is the one to tell
            # Whatever rules a history was drawn from, it ends with a job and its restore.
            self.world.backup("Incremental")
            self.world.restore(-1)
            if self.world.counts["jobs"] > 2:
                self.world.restore(1)
        finally:
            TOTALS.update(self.world.counts)
            TOTALS["histories"] += 1
            self.world.close()
            for call in AFTER:
                call()
