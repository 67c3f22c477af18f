# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The manifest: the block tree as human-readable JSON, and as restore objects.

A restore object must stay well below 1,000,000 bytes as Bareos stores it (zlib); the Director
misreads larger ones or crashes. So the manifest is compressed and split into pieces.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from typing import Any

from bareos_vmsnap import codec
from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.tree import model

FORMAT = "bareos-vmsnap manifest"
VERSION = 2
PIECE = 400_000  # bytes; Bareos' limit is just below 1,000,000 as stored
_MAGIC = b"vmsnap-manifest"


class ManifestError(VmsnapError):
    """A manifest cannot be used; the message says why."""

    id = "manifest-damaged"


class ManifestTooNewError(ManifestError):
    """A manifest was written by a newer version."""

    id = "manifest-too-new"


def to_json(tree: model.BlockTree) -> bytes:
    """The manifest as human-readable UTF-8 JSON."""
    document = {"format": FORMAT, "version": VERSION, **codec.encode(tree)}
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def from_json(text: bytes) -> model.BlockTree:
    """Parse a manifest. Raises ManifestError (unreadable, inconsistent) or ManifestTooNewError."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"the manifest is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ManifestError("this is not a bareos-vmsnap manifest", id="manifest-foreign")
    version = document.get("version")
    if not isinstance(version, int) or version < VERSION:
        # Version 1 was only written before the first release.
        raise ManifestError(f"the manifest has no usable version: {version!r}")
    if version > VERSION:
        raise ManifestTooNewError(
            f"the manifest has version {version}, this program reads up to {VERSION}"
        )
    try:
        tree = codec.decode(model.BlockTree, document)
    except codec.MismatchError as error:
        raise ManifestError(f"the manifest does not hold what it should: {error}") from error
    _check(tree)
    return tree


def _check(tree: model.BlockTree) -> None:
    try:
        for node in tree.nodes.values():
            tree.lineage(node.id)
            tree.configs[node.config]
        for segment in tree.segments.values():
            tree.lineage(segment.node)
        for name in [tree.point.state, *(live.node for live in tree.point.snapshots)]:
            tree.lineage(name)
    except LookupError as error:
        raise ManifestError(f"the manifest contradicts itself: {error}") from error


def config_key(config: Any) -> str:
    """The key of a configuration; equal ones share it and are stored once."""
    text = json.dumps(config, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def to_pieces(tree: model.BlockTree, name: str) -> list[bytes]:
    """The manifest as restore objects, each with at most PIECE bytes of incompressible content.

    Every piece begins with a line of JSON: {"manifest", "piece", "pieces", "sha256"}.
    """
    packed = zlib.compress(to_json(tree), 9)
    digest = hashlib.sha256(packed).hexdigest()
    parts = [packed[at : at + PIECE] for at in range(0, len(packed), PIECE)]
    pieces = []
    for number, part in enumerate(parts):
        head: dict[str, Any] = {
            "manifest": name,
            "piece": number,
            "pieces": len(parts),
            "sha256": digest,
        }
        pieces.append(_MAGIC + b" " + json.dumps(head).encode() + b"\n" + part)
    return pieces


def piece_of(piece: bytes) -> str:
    """The name of the manifest that a restore object is a piece of. Raises ManifestError."""
    return str(_head(piece)["manifest"])


def _head(piece: bytes) -> dict[str, Any]:
    """The first line of a piece, checked."""
    head, newline, _ = piece.partition(b"\n")
    if not newline or not head.startswith(_MAGIC + b" "):
        raise ManifestError(
            "a restore object is not a piece of a bareos-vmsnap manifest", id="manifest-foreign"
        )
    try:
        fields = json.loads(head[len(_MAGIC) + 1 :])
        checked = {"manifest": str(fields["manifest"]), "sha256": str(fields["sha256"])}
        return {**checked, "piece": int(fields["piece"]), "pieces": int(fields["pieces"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"a restore object has a damaged first line: {error}") from error


class Pieces:
    """Collects restore objects, in any order and of several manifests, until complete."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[int, bytes]] = {}
        self._heads: dict[str, dict[str, Any]] = {}

    def add(self, piece: bytes) -> None:
        """Take one restore object. Raises ManifestError if it is not a piece of a manifest."""
        head = _head(piece)
        self._heads.setdefault(head["manifest"], head)
        parts = self._parts.setdefault(head["manifest"], {})
        parts[head["piece"]] = piece.partition(b"\n")[2]

    def names(self) -> Iterable[str]:
        """The manifests of which at least one piece has arrived."""
        return list(self._heads)

    def manifest(self, name: str) -> model.BlockTree:
        """The manifest of that name. Raises ManifestError if pieces are missing or damaged."""
        head, parts = self._heads[name], self._parts[name]
        missing = [n for n in range(head["pieces"]) if n not in parts]
        if missing:
            raise ManifestError(
                f"manifest {name}: pieces {missing} of {head['pieces']} are missing",
                id="manifest-incomplete",
            )
        packed = b"".join(parts[n] for n in range(head["pieces"]))
        if hashlib.sha256(packed).hexdigest() != head["sha256"]:
            raise ManifestError(f"manifest {name}: its restore objects are damaged")
        return from_json(zlib.decompress(packed))
