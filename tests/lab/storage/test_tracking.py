# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Changed block tracking: when it tells the truth, and the ways in which it does not."""

from __future__ import annotations

import re

import pytest

from vmsnap_lab.storage import DiskStore, Extent

from .helpers import BASE, BLOCK, blocks, delta, differing, refused

MIB = 1 << 20


def change_id(store: DiskStore, path: str) -> str:
    found = store.change_id(path)
    assert found is not None
    return found


def uuid_of(found: str) -> str:
    return found.partition("/")[0]


def sequence_of(found: str) -> int:
    return int(found.partition("/")[2])


@pytest.fixture
def line(store: DiskStore) -> DiskStore:
    """BASE (blocks 0, 1), delta 1 (2), delta 2 (0, 3), and delta 3 as the leaf (5)."""
    store.create(BASE, MIB)
    store.enable_tracking(BASE)
    store.write(BASE, 0, b"b" * 2 * BLOCK)
    store.create_delta(BASE, delta(1))
    store.write(delta(1), 2 * BLOCK + 5, b"1")
    store.create_delta(delta(1), delta(2))
    store.write_many(delta(2), [(BLOCK - 1, b"2"), (3 * BLOCK, b"2")])
    store.create_delta(delta(2), delta(3))
    store.write(delta(3), 5 * BLOCK, b"3")
    return store


def test_change_ids_look_like_those_of_vmware(line: DiskStore) -> None:
    ids = [change_id(line, path) for path in (BASE, delta(1), delta(2), delta(3))]
    pair = "[0-9a-f]{2}"
    form = rf"{pair}( {pair}){{7}}-{pair}( {pair}){{7}}/[0-9]+"
    assert all(re.fullmatch(form, each) for each in ids)
    assert len({uuid_of(each) for each in ids}) == 1
    assert [sequence_of(each) for each in ids] == [1, 2, 3, 4]


def test_areas_between_any_two_moments_of_a_line(line: DiskStore) -> None:
    paths = [BASE, delta(1), delta(2), delta(3)]
    written = [{0, 1}, {2}, {0, 3}, {5}]
    for end in range(4):
        for start in range(end + 1):
            areas = line.changed_areas(paths[end], change_id(line, paths[start]))
            assert blocks(areas) == set().union(*written[start + 1 : end + 1])
        assert blocks(line.changed_areas(paths[end], "*")) == set().union(*written[: end + 1])


def test_areas_are_merged_sorted_and_clipped(store: DiskStore) -> None:
    store.create(BASE, 5 * BLOCK + 512)
    store.enable_tracking(BASE)
    store.create_delta(BASE, delta(1))
    store.write_many(delta(1), [(5 * BLOCK, b"x"), (2 * BLOCK, b"x"), (BLOCK, b"x")])
    start = change_id(store, BASE)
    assert store.changed_areas(delta(1), start) == [
        Extent(BLOCK, 2 * BLOCK),
        Extent(5 * BLOCK, 512),
    ]
    assert store.changed_areas(delta(1), start, 2 * BLOCK + 512, BLOCK) == [
        Extent(2 * BLOCK + 512, BLOCK - 512)
    ]
    assert store.changed_areas(delta(1), start, 3 * BLOCK, BLOCK) == []
    assert store.changed_areas(delta(1), start, 5 * BLOCK, 99 * MIB) == [Extent(5 * BLOCK, 512)]
    for offset, length in ((5 * BLOCK + 512, None), (-1, None), (0, 0), (0, -5)):
        with refused("bad-offset"):
            store.changed_areas(delta(1), start, offset, length)


def test_zeros_over_data_are_a_change(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.enable_tracking(BASE)
    store.write(BASE, 0, b"d" * 4 * BLOCK)
    store.create_delta(BASE, delta(1))
    store.write_many(delta(1), [(BLOCK, BLOCK), (3 * BLOCK, bytes(10))])
    assert blocks(store.changed_areas(delta(1), change_id(store, BASE))) == {1, 3}
    assert store.read(delta(1), BLOCK, BLOCK) == bytes(BLOCK)
    store.merge_into_parent(delta(1))
    assert store.read(BASE, BLOCK, BLOCK) == bytes(BLOCK)
    assert blocks(store.changed_areas(BASE, "*")) == {0, 1, 2, 3}


def test_an_id_outlives_its_snapshot(line: DiskStore) -> None:
    """Also when the snapshot's delta has been merged away, from above or into its parent."""
    first, second = change_id(line, delta(1)), change_id(line, delta(2))
    line.merge_into_parent(delta(2))  # the snapshot on delta 1 is gone, its file is not
    assert change_id(line, delta(1)) == second
    assert blocks(line.changed_areas(delta(3), first)) == {0, 3, 5}
    assert blocks(line.changed_areas(delta(1), first)) == {0, 3}
    line.merge_into_parent(delta(1))
    assert blocks(line.changed_areas(delta(3), first)) == {0, 3, 5}
    assert blocks(line.changed_areas(delta(3), second)) == {5}


def test_a_leaf_made_of_its_parent_goes_on_tracking(line: DiskStore) -> None:
    second = change_id(line, delta(2))
    line.merge_into_parent(delta(3))
    assert sequence_of(change_id(line, delta(2))) == 4
    assert blocks(line.changed_areas(delta(2), second)) == {5}
    # Clusters that have been allocated long ago are written again.
    line.write_many(delta(2), [(0, b"x"), (5 * BLOCK, b"x")])
    assert blocks(line.changed_areas(delta(2), second)) == {0, 5}
    line.create_delta(delta(2), delta(4))
    assert change_id(line, delta(4)).endswith("/5")
    assert blocks(line.changed_areas(delta(4), second)) == {0, 5}
    assert line.changed_areas(delta(4), change_id(line, delta(2))) == []


def test_ids_that_say_nothing(line: DiskStore) -> None:
    start = change_id(line, BASE)
    other = ("0" if start[0] != "0" else "1") + start[1:]
    for strange in ("", "**", "52 2d/3", uuid_of(start), f"{uuid_of(start)}/", f"{start}x"):
        with refused("bad-change-id"):
            line.changed_areas(delta(3), strange)
    for foreign in (other, f"{uuid_of(start)}/0", f"{uuid_of(start)}/99"):
        with refused("cannot-get-changes"):
            line.changed_areas(delta(3), foreign)
    with refused("cannot-get-changes"):
        line.changed_areas(BASE, change_id(line, delta(1)))
    assert blocks(line.changed_areas(delta(3), start.upper())) == {0, 2, 3, 5}


def test_without_tracking(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.create_delta(BASE, delta(1))
    assert store.change_id(BASE) is None
    assert store.change_id(delta(1)) is None
    for path in (BASE, delta(1)):
        with refused("no-track"):
            store.changed_areas(path, "*")


def test_enabling_over_snapshots(store: DiskStore) -> None:
    """What was frozen before stays without ids; the first epoch has all that was in use."""
    store.create(BASE, MIB)
    store.write(BASE, BLOCK, b"b")
    store.create_delta(BASE, delta(1))
    store.write_many(delta(1), [(3 * BLOCK, b"1"), (4 * BLOCK, 5)])
    store.enable_tracking(delta(1))
    assert change_id(store, delta(1)).endswith("/1")
    assert blocks(store.changed_areas(delta(1), "*")) == {1, 3, 4}
    store.write(delta(1), 6 * BLOCK, b"after")
    first = change_id(store, delta(1))
    store.create_delta(delta(1), delta(2))
    store.write(delta(2), 0, b"2")

    assert store.change_id(BASE) is None
    with refused("no-track"):
        store.changed_areas(BASE, first)
    assert blocks(store.changed_areas(delta(1), "*")) == {1, 3, 4, 6}
    assert blocks(store.changed_areas(delta(2), first)) == {0}
    store.merge_into_parent(delta(1))  # the snapshot on BASE is deleted
    assert change_id(store, BASE) == first
    assert blocks(store.changed_areas(delta(2), first)) == {0}
    with refused("locked"):
        store.enable_tracking(BASE)


def test_disabling(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.enable_tracking(BASE)
    start = change_id(store, BASE)
    store.enable_tracking(BASE)
    assert change_id(store, BASE) == start
    store.create_delta(BASE, delta(1))
    store.disable_tracking(delta(1))
    store.write(delta(1), 0, b"nobody notes this")
    assert (store.change_id(BASE), store.change_id(delta(1))) == (start, None)
    with refused("no-track"):
        store.changed_areas(delta(1), start)
    store.merge_into_parent(delta(1))
    assert store.change_id(BASE) is None
    with refused("no-track"):
        store.changed_areas(BASE, start)
    store.enable_tracking(BASE)
    assert blocks(store.changed_areas(BASE, "*")) == {0}


def test_resetting(line: DiskStore) -> None:
    before = change_id(line, delta(2))
    line.reset_tracking(delta(3))
    after = change_id(line, delta(3))
    assert uuid_of(after) != uuid_of(before)
    assert after.endswith("/1")
    with refused("cannot-get-changes"):
        line.changed_areas(delta(3), before)
    assert blocks(line.changed_areas(delta(3), "*")) == {0, 1, 2, 3, 5}
    assert blocks(line.changed_areas(delta(2), before)) == set()
    line.create_delta(delta(3), delta(4))
    line.write(delta(4), 9 * BLOCK, b"4")
    line.merge_into_parent(delta(3))
    assert change_id(line, delta(2)) == after
    assert blocks(line.changed_areas(delta(4), after)) == {9}
    assert blocks(line.changed_areas(delta(4), "*")) == {0, 1, 2, 3, 5, 9}


def test_the_star_as_one_extent(line: DiskStore) -> None:
    line.habits.star = "whole-disk"
    assert line.changed_areas(delta(2), "*") == [Extent(0, MIB)]
    assert line.changed_areas(delta(2), "*", 512, 1024) == [Extent(512, 1024)]


def test_the_star_failing(line: DiskStore) -> None:
    line.habits.star = "fails"
    with refused("no-epoch"):
        line.changed_areas(delta(2), "*")
    assert line.changed_areas(delta(2), change_id(line, delta(1)))


def test_a_revert_that_keeps_the_uuid(line: DiskStore) -> None:
    """No id is used twice, but an id of the branch left behind gets an answer, and a wrong one."""
    left_behind = change_id(line, delta(2))
    line.delete(delta(3))
    line.create_delta(delta(1), delta(4), reverted=True)
    line.write(delta(4), 7 * BLOCK, b"4")
    assert uuid_of(change_id(line, delta(4))) == uuid_of(left_behind)
    assert sequence_of(change_id(line, delta(4))) == 5
    assert blocks(line.changed_areas(delta(4), change_id(line, delta(1)))) == {7}

    truth = differing(line.read(delta(2), 0, MIB), line.read(delta(4), 0, MIB))
    assert truth == {0, 3, 7}
    assert blocks(line.changed_areas(delta(4), left_behind)) == {7}
    line.habits.stray_id = "fails"
    with refused("cannot-get-changes"):
        line.changed_areas(delta(4), left_behind)
    assert blocks(line.changed_areas(delta(4), change_id(line, delta(1)))) == {7}


def test_a_revert_that_counts_again(line: DiskStore) -> None:
    """Two branches have the same change id for different content: nothing looks wrong."""
    line.habits.revert_sequence = "reuse"
    line.habits.stray_id = "fails"
    remembered = change_id(line, delta(2))
    line.create_delta(delta(1), delta(4))  # frozen before, so this is a revert
    line.write(delta(4), 7 * BLOCK, b"4")
    line.create_delta(delta(4), delta(5))
    line.write(delta(5), 8 * BLOCK, b"5")
    assert change_id(line, delta(4)) == remembered
    truth = differing(line.read(delta(2), 0, MIB), line.read(delta(5), 0, MIB))
    assert truth == {0, 3, 7, 8}
    assert blocks(line.changed_areas(delta(5), remembered)) == {8}


def test_a_revert_that_starts_anew(line: DiskStore) -> None:
    line.habits.revert_uuid = "new"
    line.create_delta(delta(1), delta(4))
    line.write(delta(4), 7 * BLOCK, b"4")
    assert uuid_of(change_id(line, delta(4))) != uuid_of(change_id(line, delta(1)))
    assert change_id(line, delta(4)).endswith("/1")
    for path in (delta(1), delta(2)):
        with refused("cannot-get-changes"):
            line.changed_areas(delta(4), change_id(line, path))
    assert blocks(line.changed_areas(delta(4), "*")) == {0, 1, 2, 7}


def test_numbers_are_not_used_again_after_a_deletion(line: DiskStore) -> None:
    line.delete(delta(3))
    line.delete(delta(2))
    line.create_delta(delta(1), delta(2))
    assert sequence_of(change_id(line, delta(2))) == 5


def test_tracking_that_misses_changes(line: DiskStore) -> None:
    everything = blocks(line.changed_areas(delta(3), "*"))
    line.habits.misses = 0.5
    answers = []
    for line.habits.seed in range(20):
        seen = blocks(line.changed_areas(delta(3), "*"))
        assert seen == blocks(line.changed_areas(delta(3), "*"))
        assert seen <= everything
        answers.append(seen)
    assert min(map(len, answers)) < len(everything)
    assert set().union(*answers) == everything
    line.habits.misses = 1.0
    assert line.changed_areas(delta(3), "*") == []


def late(store: DiskStore) -> dict[str, set[int]]:
    """BASE, untracked; delta 1 tracked since; delta 2 and 3. What each has more than that below."""
    store.create(BASE, MIB)
    store.write(BASE, 0, b"b" * BLOCK)
    store.create_delta(BASE, delta(1))
    store.enable_tracking(delta(1))
    for number in (1, 2, 3):
        store.write(delta(number), number * 4 * BLOCK, b"x" * 4 * BLOCK)
        if number < 3:
            store.create_delta(delta(number), delta(number + 1))
    return {delta(n): set(range(n * 4, n * 4 + 4)) for n in (2, 3)}


def test_tracking_above_an_untracked_file_may_miss_changes(store: DiskStore) -> None:
    expected = late(store)
    ids = {delta(n): change_id(store, delta(n - 1)) for n in (2, 3)}
    for path, wanted in expected.items():
        assert blocks(store.changed_areas(path, ids[path])) == wanted
    whole = blocks(store.changed_areas(delta(3), "*"))
    store.habits.late_misses = 1.0
    assert [store.changed_areas(path, ids[path]) for path in expected] == [[], []]
    assert blocks(store.changed_areas(delta(3), "*")) == whole


def test_tracking_above_tracked_files_only_misses_nothing(line: DiskStore) -> None:
    line.habits.late_misses = 1.0
    assert blocks(line.changed_areas(delta(3), change_id(line, delta(2)))) == {5}


def test_what_is_written_after_the_untracked_file_is_gone_is_noticed(store: DiskStore) -> None:
    late(store)
    store.habits.late_misses = 1.0
    for number in (3, 2, 1):
        store.merge_into_parent(delta(number))
    store.create_delta(BASE, delta(9))
    since = change_id(store, BASE)
    store.write(delta(9), 7 * BLOCK, b"y")
    assert blocks(store.changed_areas(delta(9), since)) == {7}


def test_an_untouched_disk(store: DiskStore) -> None:
    store.create(BASE, 512)
    store.enable_tracking(BASE)
    store.create_delta(BASE, delta(1))
    assert store.changed_areas(BASE, "*") == []
    assert store.changed_areas(delta(1), change_id(store, BASE)) == []


def test_what_is_written_behind_tracking(line: DiskStore) -> None:
    """On a leaf and on a frozen disk: what was noted before and comes after is not lost."""
    since = change_id(line, delta(2))
    line.write_behind(delta(3), [(7 * BLOCK, b"behind"), (5 * BLOCK, BLOCK)])
    line.write(delta(3), 9 * BLOCK, b"after")
    assert blocks(line.changed_areas(delta(3), since)) == {5, 9}
    assert line.read(delta(3), 7 * BLOCK, 6) == b"behind"
    line.write_behind(delta(1), [(11 * BLOCK, b"frozen")])
    assert blocks(line.changed_areas(delta(3), change_id(line, BASE))) == {0, 2, 3, 5, 9}
    assert line.read(delta(3), 11 * BLOCK, 6) == b"frozen"
    line.create_delta(delta(3), delta(4))
    line.write(delta(4), 0, b"4")
    assert blocks(line.changed_areas(delta(4), since)) == {0, 5, 9}
    with refused("bad-offset"):
        line.write_behind(BASE, [(MIB, b"x")])


def test_a_crash_that_loses_what_was_noted(line: DiskStore) -> None:
    line.habits.crash = "loses"
    before, since = change_id(line, delta(3)), change_id(line, delta(2))
    line.crash(delta(3))
    assert change_id(line, delta(3)) == before
    assert line.changed_areas(delta(3), since) == []
    line.write(delta(3), 6 * BLOCK, b"x")
    assert blocks(line.changed_areas(delta(3), since)) == {6}


def test_star_without_the_files_of_other_folders(line: DiskStore) -> None:
    clone = "[datastore1] clone/clone.vmdk"
    line.create_delta(delta(2), clone)
    line.enable_tracking(clone)
    line.write(clone, 12 * BLOCK, b"c")
    assert blocks(line.changed_areas(clone, "*")) == {0, 1, 2, 3, 12}
    line.habits.star = "own-files"
    assert blocks(line.changed_areas(clone, "*")) == {12}
    assert blocks(line.changed_areas(delta(3), "*")) == {0, 1, 2, 3, 5}


def test_a_photograph_is_put_back(line: DiskStore) -> None:
    paths = [BASE, delta(1), delta(2), delta(3)]
    contents = [line.sha256(path) for path in paths]
    photographs = line.photograph(paths)
    then = change_id(line, delta(3))
    line.write(delta(3), 0, b"later")
    line.create_delta(delta(3), delta(4))
    line.merge_into_parent(delta(2))
    clone = "[datastore1] clone/clone.vmdk"
    line.create_delta(delta(1), clone)
    there = [BASE, delta(1), delta(3), delta(4)]
    with refused("has-children"):
        line.roll_back(there, photographs)
    line.delete(clone)
    line.roll_back(there, photographs)
    assert line.list("datastore1") == sorted(paths)
    assert [line.sha256(path) for path in paths] == contents
    assert change_id(line, delta(3)) == then
    assert blocks(line.changed_areas(delta(3), change_id(line, delta(2)))) == {5}
    line.write(delta(3), 6 * BLOCK, b"x")
    assert blocks(line.changed_areas(delta(3), change_id(line, delta(2)))) == {5, 6}
