# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The manifest as restore objects, which Bareos hands to the next job and to a restore.

A restore object must stay well below 1,000,000 bytes as Bareos stores it (zlib); the Director
misreads larger ones or crashes. So the manifest is compressed and split into pieces. Described in
docs/format.md. Nothing is allocated by the word of a damaged one: all sizes are limited.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.tree import manifest, model

PIECE = 400_000  # bytes; Bareos' limit is just below 1,000,000 as stored
MAX_PIECES = 250
_MAGIC = b"vmsnap-manifest"
_MAX_FIRST_LINE = 8192  # bytes


def to_pieces(tree: model.BlockTree, name: str) -> list[bytes]:
    """The manifest as restore objects, each with at most PIECE bytes of incompressible content.

    Every piece begins with a line of JSON: {"manifest", "piece", "pieces", "sha256"}.
    Raises manifest.ManifestTooLargeError.
    """
    packed = zlib.compress(manifest.to_json(tree), 9)
    digest = hashlib.sha256(packed).hexdigest()
    parts = [packed[at : at + PIECE] for at in range(0, len(packed), PIECE)]
    if len(parts) > MAX_PIECES:
        raise manifest.ManifestTooLargeError(
            f"the manifest of VM {tree.vm.name} needs {len(parts)} restore objects, at most "
            f"{MAX_PIECES} can be read back",
            todo="Run a Full: its manifest holds no deleted snapshots",
        )
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


@dataclass(frozen=True)
class _FirstLine:
    """The first line of a piece."""

    manifest: str
    piece: int
    pieces: int
    sha256: str


def piece_of(piece: bytes) -> str:
    """The name of the manifest that a restore object is a piece of. Raises manifest.ManifestError."""
    return _split(piece)[0].manifest


def _split(piece: bytes) -> tuple[_FirstLine, bytes]:
    """The first line of a piece, checked, and what follows it."""
    end = piece.find(b"\n", 0, _MAX_FIRST_LINE)
    if end < 0 or not piece.startswith(_MAGIC + b" "):
        raise manifest.ManifestError(
            "a restore object is not a piece of a bareos-vmsnap manifest", id="manifest-foreign"
        )
    try:
        fields = json.loads(piece[len(_MAGIC) + 1 : end])
        line: _FirstLine = dataclass_json.decode(_FirstLine, fields)
    except (ValueError, RecursionError) as error:
        raise manifest.ManifestError(
            f"a restore object has a damaged first line: {error}"
        ) from error
    if not 0 <= line.piece < line.pieces <= MAX_PIECES or len(piece) - end - 1 > PIECE:
        raise manifest.ManifestError(
            f"a restore object has a damaged first line: piece {line.piece} of {line.pieces}, "
            f"{len(piece)} bytes"
        )
    return line, piece[end + 1 :]


class Pieces:
    """Collects restore objects, in any order and of several manifests, until complete."""

    def __init__(self) -> None:
        # By manifest, then by digest and number of pieces: a damaged first line does no harm to
        # the others.
        self._parts: dict[str, dict[tuple[str, int], dict[int, bytes]]] = {}

    def add(self, piece: bytes) -> None:
        """Take one restore object. Raises manifest.ManifestError if it is not a piece of a manifest."""
        line, part = _split(piece)
        variants = self._parts.setdefault(line.manifest, {})
        variants.setdefault((line.sha256, line.pieces), {})[line.piece] = part

    def names(self) -> Iterable[str]:
        """The manifests of which at least one piece has arrived."""
        return list(self._parts)

    def drop(self, name: str) -> None:
        """Forget the pieces of that manifest, if there are any."""
        self._parts.pop(name, None)

    def manifest(self, name: str) -> model.BlockTree:
        """The manifest of that name. Raises manifest.ManifestError if pieces are missing or damaged."""
        failures: list[manifest.ManifestError] = []
        for (digest, count), parts in self._parts[name].items():
            try:
                return _assemble(name, digest, count, parts)
            except manifest.ManifestError as error:
                failures.append(error)
        raise failures[0]


def _assemble(name: str, digest: str, count: int, parts: Mapping[int, bytes]) -> model.BlockTree:
    missing = [n for n in range(count) if n not in parts]
    if missing:
        raise manifest.ManifestError(
            f"manifest {name}: pieces {missing} of {count} are missing", id="manifest-incomplete"
        )
    packed = b"".join(parts[n] for n in range(count))
    if hashlib.sha256(packed).hexdigest() != digest:
        raise manifest.ManifestError(f"manifest {name}: its restore objects are damaged")
    try:
        # First a block at a time: what is no manifest may decompress to any size.
        size = manifest.check_digest(_decompressed(packed))
        text = zlib.decompressobj().decompress(packed, size)
    except zlib.error as error:
        raise manifest.ManifestError(
            f"manifest {name}: its restore objects are damaged: {error}"
        ) from error
    return manifest.from_json(text)


def _decompressed(packed: bytes) -> Iterator[bytes]:
    """The decompressed data in blocks. Raises zlib.error, manifest.ManifestError."""
    stream = zlib.decompressobj()
    pending = packed
    while not stream.eof:
        block = stream.decompress(pending, manifest.BLOCK)
        pending = stream.unconsumed_tail
        if not block and not pending and not stream.eof:
            raise manifest.ManifestError("a restore object is cut off")
        if block:
            yield block
