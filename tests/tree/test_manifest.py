# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import dataclasses
import io
import json
import random
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.tree import manifest, model, restore_objects
from tests.tree import trees

PICTURE = "A\n  B\n  C *\n"


def document() -> dict[str, Any]:
    """The content of a manifest, which manifest.sealed() makes a text of."""
    found: dict[str, Any] = json.loads(manifest.to_json(trees.backed_up(PICTURE)))
    return {key: found[key] for key in found if key not in ("format", "version", "digest")}


def add_configuration(tree: model.BlockTree, numbers: int, noise: random.Random) -> None:
    """Make the manifest large."""
    config = [noise.random() for _ in range(numbers)]
    tree.configs[manifest.config_key(config)] = config


@contextmanager
def little_memory() -> Iterator[None]:
    """At most some MiB are allocated meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_manifest_comes_back_equal() -> None:
    tree = trees.backed_up(PICTURE)
    assert manifest.from_json(manifest.to_json(tree)) == tree


def test_pieces_come_back_in_any_order_and_of_several_jobs() -> None:
    tree, other = trees.backed_up(PICTURE), trees.backed_up("X *\n")
    noise = random.Random(1)
    add_configuration(tree, 120_000, noise)
    pieces = restore_objects.to_pieces(tree, "T1") + restore_objects.to_pieces(other, "T0")
    assert len(pieces) > 2
    assert max(len(piece) for piece in pieces) < 500_000
    noise.shuffle(pieces)
    collected = restore_objects.Pieces()
    for piece in pieces:
        collected.add(piece)
    assert collected.manifest("T1") == tree
    assert collected.manifest("T0") == other


def test_a_missing_piece_is_reported() -> None:
    tree = trees.backed_up(PICTURE)
    add_configuration(tree, 60_000, random.Random(2))
    pieces = restore_objects.to_pieces(tree, "T1")
    collected = restore_objects.Pieces()
    for piece in pieces[1:]:
        collected.add(piece)
    with pytest.raises(manifest.ManifestError, match=r"pieces \[0\] of"):
        collected.manifest("T1")


def test_a_damaged_piece_is_reported() -> None:
    (piece,) = restore_objects.to_pieces(trees.backed_up(PICTURE), "T1")
    collected = restore_objects.Pieces()
    collected.add(piece[:-1] + bytes([piece[-1] ^ 1]))
    with pytest.raises(manifest.ManifestError, match="damaged"):
        collected.manifest("T1")


@pytest.mark.parametrize("piece", [b"", b"hello", b"vmsnap-manifest {}\n", b"vmsnap-manifest x\n"])
def test_what_is_no_piece_is_refused(piece: bytes) -> None:
    with pytest.raises(manifest.ManifestError):
        restore_objects.Pieces().add(piece)


def test_a_first_line_that_contradicts_the_others_does_no_harm() -> None:
    tree = trees.backed_up(PICTURE)
    (piece,) = restore_objects.to_pieces(tree, "T1")
    collected = restore_objects.Pieces()
    collected.add(piece.replace(b'"pieces": 1', b'"pieces": 9'))
    with pytest.raises(manifest.ManifestError, match="missing"):
        collected.manifest("T1")
    collected.add(piece)
    assert collected.manifest("T1") == tree


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        (b'"pieces": 1', b'"pieces": 1000000000'),
        (b'"pieces": 1', b'"pieces": 1e400'),
        (b'"pieces": 1', b'"pieces": true'),
        (b'"piece": 0', b'"piece": -1'),
        (b'"piece": 0', b'"piece": 1'),
        (b'"manifest": "T1"', b'"manifest": ' + b"[" * 7000),
        (b'"manifest": "T1"', b'"manifest": "' + b"x" * 9000 + b'"'),
    ],
)
def test_a_first_line_that_cannot_be_is_refused_at_once(was: bytes, is_now: bytes) -> None:
    (piece,) = restore_objects.to_pieces(trees.backed_up(PICTURE), "T1")
    with little_memory(), pytest.raises(manifest.ManifestError):
        restore_objects.Pieces().add(piece.replace(was, is_now, 1))


def test_a_piece_that_is_too_large_is_refused() -> None:
    (piece,) = restore_objects.to_pieces(trees.backed_up(PICTURE), "T1")
    with pytest.raises(manifest.ManifestError, match="damaged first line"):
        restore_objects.Pieces().add(piece + bytes(restore_objects.PIECE))


@pytest.mark.parametrize("beginning", [b"", manifest.sealed({})[:-3] + b',\n "vm": "'])
def test_little_that_decompresses_to_much(beginning: bytes) -> None:
    """A GiB in a megabyte: with a right checksum, and with the beginning of a manifest."""
    packer = zlib.compressobj(9)
    packed = packer.compress(beginning)
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()
    collected = restore_objects.Pieces()
    for piece in pieces_of(packed):
        collected.add(piece)
    with little_memory(), pytest.raises(manifest.ManifestError):
        collected.manifest("T1")


def test_a_stream_that_is_cut_off() -> None:
    """With a right checksum."""
    packed = zlib.compress(manifest.to_json(trees.backed_up(PICTURE)))
    for length in (0, 1, 100, len(packed) // 2, len(packed) - 5):
        collected = restore_objects.Pieces()
        for piece in pieces_of(packed[:length]) or [b"vmsnap-manifest {}\n"]:
            with pytest.raises(manifest.ManifestError):
                collected.add(piece)
                collected.manifest("T1")


def pieces_of(packed: bytes) -> list[bytes]:
    """Restore objects whose own checksums are right, whatever they hold."""
    size = restore_objects.PIECE
    parts = [packed[at : at + size] for at in range(0, len(packed), size)]
    head = {"manifest": "T1", "pieces": len(parts), "sha256": sha256(packed).hexdigest()}
    lines = [json.dumps({**head, "piece": number}).encode() for number in range(len(parts))]
    return [b"vmsnap-manifest " + line + b"\n" + part for line, part in zip(lines, parts)]


def test_a_manifest_nobody_could_read_back_is_not_written(monkeypatch: Any) -> None:
    tree = trees.backed_up(PICTURE)
    monkeypatch.setattr(manifest, "MAX_TEXT", len(manifest.to_json(tree)))
    assert manifest.from_json(manifest.to_json(tree)) == tree
    monkeypatch.setattr(manifest, "MAX_TEXT", manifest.MAX_TEXT - 1)
    with pytest.raises(manifest.ManifestTooLargeError, match="at most"):
        manifest.to_json(tree)
    with pytest.raises(manifest.ManifestTooLargeError):
        restore_objects.to_pieces(tree, "T1")


def test_no_flipped_bit_is_accepted() -> None:
    """Anywhere in the text; the same tree may not come back either."""
    text = manifest.to_json(trees.backed_up(PICTURE))
    noise = random.Random(7)
    beginning = [(at, bit) for at in range(200) for bit in range(8)]
    anywhere = [(noise.randrange(len(text)), noise.randrange(8)) for _ in range(4000)]
    for at, bit in beginning + anywhere:
        changed = bytearray(text)
        changed[at] ^= 1 << bit
        with pytest.raises(manifest.ManifestError):
            manifest.from_json(bytes(changed))


def test_whatever_is_cut_off_added_or_exchanged_is_refused() -> None:
    text = manifest.to_json(trees.backed_up(PICTURE))
    lines = text.splitlines(keepends=True)
    for changed in (
        text[:-1],
        text[: len(text) // 2],
        text + b"\n",
        b" " + text,
        b"".join([*lines[:9], *lines[10:]]),
        b"".join([*lines[:9], lines[10], lines[9], *lines[11:]]),
        b"",
    ):
        with pytest.raises(manifest.ManifestError):
            manifest.from_json(changed)


def test_the_digest_is_what_the_document_says() -> None:
    """Computed here as docs/format.md describes it, not by the module under test."""
    text = manifest.to_json(trees.backed_up(PICTURE))
    found = json.loads(text)
    assert list(found)[:3] == ["format", "version", "digest"]
    unsealed = text.replace(found["digest"].encode(), b"0" * 64, 1)
    assert sha256(unsealed).hexdigest() == found["digest"]


def test_a_newer_manifest_is_recognised(monkeypatch: Any) -> None:
    monkeypatch.setattr(manifest, "VERSION", 99)
    newer = manifest.sealed({"whatever": "it may hold"})
    monkeypatch.undo()
    with pytest.raises(manifest.ManifestTooNewError, match="version 99"):
        manifest.from_json(newer)


def test_a_manifest_from_before_the_first_release_is_recognised() -> None:
    old = json.dumps({"format": manifest.FORMAT, "version": 2, **document()}, indent=1)
    with pytest.raises(manifest.ManifestError, match="version 2 and no digest"):
        manifest.from_json(old.encode())


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("vm", "name"), 7, r"\.vm\.name: expected str, found int"),
        (("vm",), [], r"\.vm: expected an object"),
        (("vm", "instance_uuid"), "503a0000-0000-0000-0000-000000000002", "not the directory"),
        (("nodes", "T1.2", "base"), "T1.9", "not in the block tree"),
        (("nodes", "T1.2", "base"), "T1.2", "not in the block tree"),
        (("nodes", "T1.2", "id"), "T1.1", "is filed under"),
        (("timepoint", "state"), "gone", "not in the block tree"),
        (("timepoint", "current"), "gone", "not in the block tree"),
        (("timepoint",), None, "no time point"),
        (("configs",), {}, "contradicts itself"),
    ],
)
def test_what_does_not_fit_is_named(path: tuple[str, ...], value: Any, why: str) -> None:
    """Although the digest is right."""
    found = document()
    at = found
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    with pytest.raises(manifest.ManifestError, match=why):
        manifest.from_json(manifest.sealed(found))


def test_a_configuration_that_is_not_what_its_key_says() -> None:
    found = document()
    (first, *_) = found["configs"]
    found["configs"][first]["name"] += "x"
    with pytest.raises(manifest.ManifestError, match=f"{first} .* does not match its key"):
        manifest.from_json(manifest.sealed(found))


def test_deep_nesting() -> None:
    found = document()
    text = manifest.sealed({**found, "configs": {"deep": "HERE"}})
    deep = text.replace(b'"HERE"', b"[" * 100_000 + b"]" * 100_000)
    digest = json.loads(text)["digest"].encode()
    unsealed = deep.replace(digest, b"0" * 64)
    sealed = deep.replace(digest, sha256(unsealed).hexdigest().encode())
    with pytest.raises(manifest.ManifestError):
        manifest.from_json(sealed)


def test_fields_of_a_later_minor_version_are_passed_over() -> None:
    found = document()
    found["vm"]["colour"] = "blue"
    assert manifest.from_json(manifest.sealed(found)) == trees.backed_up(PICTURE)


def test_a_manifest_is_read_from_a_file() -> None:
    tree = trees.backed_up(PICTURE)
    assert manifest.read(io.BytesIO(manifest.to_json(tree))) == tree


class CountingNodes(dict[str, Any]):
    """Counts how often a node is looked up."""

    looked_up = 0

    def __getitem__(self, key: str) -> Any:
        self.looked_up += 1
        return super().__getitem__(key)


def long_chain(count: int) -> model.BlockTree:
    """A VM with one state, which many retired ones are below, as after years of Incrementals."""
    tree = trees.backed_up("A *\n")
    first = tree.nodes["T1.1"]
    (segment,) = (each for each in tree.segments.values() if each.node == "T1.1")
    tree.nodes = {first.id: first}
    tree.segments = {segment.name: segment}
    for number in range(1, count):
        base = "T1.1" if number == 1 else f"T1.{number + 99}"
        node = dataclasses.replace(first, id=f"T1.{number + 100}", base=base)
        tree.nodes[node.id] = node
        name = f"{segment.name}.{number}"
        tree.segments[name] = dataclasses.replace(segment, name=name, node=node.id, base=base)
    tree.timepoint = dataclasses.replace(tree.point, state=f"T1.{count + 99}", current="T1.1")
    return tree


def test_a_long_chain_is_checked_in_time_that_grows_with_its_length() -> None:
    tree = long_chain(2000)
    nodes = tree.nodes = CountingNodes(tree.nodes)
    tree.with_bases(list(tree.nodes))
    assert nodes.looked_up <= 2 * 2000
    text = manifest.to_json(tree)
    began = time.monotonic()
    read = manifest.from_json(text)
    assert time.monotonic() - began < 10  # seconds; 45 when this grew with the cube
    assert dataclass_json.encode(read) == dataclass_json.encode(tree)
    assert len(read.lineage(read.point.state)) == 2000
