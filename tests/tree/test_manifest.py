# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import json
import random
from typing import Any

import pytest

from bareos_vmsnap.tree import manifest
from tests.tree import trees

PICTURE = "A\n  B\n  C *\n"


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manifest.to_json(trees.backed_up(PICTURE)))
    return found


def test_a_manifest_comes_back_equal() -> None:
    tree = trees.backed_up(PICTURE)
    assert manifest.from_json(manifest.to_json(tree)) == tree


def test_pieces_come_back_in_any_order_and_of_several_jobs() -> None:
    tree, other = trees.backed_up(PICTURE), trees.backed_up("X *\n")
    noise = random.Random(1)
    tree.configs["big"] = [noise.random() for _ in range(120_000)]
    pieces = manifest.to_pieces(tree, "T1") + manifest.to_pieces(other, "T0")
    assert len(pieces) > 2
    assert max(len(piece) for piece in pieces) < 500_000
    noise.shuffle(pieces)
    collected = manifest.Pieces()
    for piece in pieces:
        collected.add(piece)
    assert collected.manifest("T1") == tree
    assert collected.manifest("T0") == other


def test_a_missing_piece_is_told() -> None:
    tree = trees.backed_up(PICTURE)
    tree.configs["big"] = [random.random() for _ in range(60_000)]
    pieces = manifest.to_pieces(tree, "T1")
    collected = manifest.Pieces()
    for piece in pieces[1:]:
        collected.add(piece)
    with pytest.raises(manifest.ManifestError, match=r"pieces \[0\] of"):
        collected.manifest("T1")


def test_a_damaged_piece_is_told() -> None:
    (piece,) = manifest.to_pieces(trees.backed_up(PICTURE), "T1")
    collected = manifest.Pieces()
    collected.add(piece[:-1] + bytes([piece[-1] ^ 1]))
    with pytest.raises(manifest.ManifestError, match="damaged"):
        collected.manifest("T1")


@pytest.mark.parametrize("piece", [b"", b"hello", b"vmsnap-manifest {}\n", b"vmsnap-manifest x\n"])
def test_what_is_no_piece_is_refused(piece: bytes) -> None:
    with pytest.raises(manifest.ManifestError):
        manifest.Pieces().add(piece)


def test_a_newer_manifest_is_told_apart() -> None:
    with pytest.raises(manifest.ManifestTooNewError, match="version 99"):
        manifest.from_json(json.dumps({**document(), "version": 99}).encode())


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("format",), "x", "not a bareos-vmsnap manifest"),
        (("version",), None, "no usable version"),
        (("vm", "name"), 7, r"\.vm\.name: expected str, found int"),
        (("vm",), [], r"\.vm: expected an object"),
        (("nodes", "T1.2", "base"), "T1.9", "not in the block tree"),
        (("nodes", "T1.2", "base"), "T1.2", "not in the block tree"),
        (("timepoint", "state"), "gone", "not in the block tree"),
        (("configs",), {}, "contradicts itself"),
    ],
)
def test_what_does_not_fit_is_named(path: tuple[str, ...], value: Any, why: str) -> None:
    found = document()
    at = found
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    with pytest.raises(manifest.ManifestError, match=why):
        manifest.from_json(json.dumps(found).encode())


def test_fields_of_a_later_minor_version_are_passed_over() -> None:
    found = document()
    found["vm"]["colour"] = "blue"
    assert manifest.from_json(json.dumps(found).encode()) == trees.backed_up(PICTURE)
