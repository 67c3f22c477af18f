# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The manifest: the block tree as human-readable JSON, and as restore objects.

Described in docs/format.md. The text contains a digest of itself, which is checked before anything
else is used. A restore object must stay well below 1,000,000 bytes as Bareos stores it (zlib); the
Director misreads larger ones or crashes. So the manifest is compressed and split into pieces.
Nothing is allocated by the word of a damaged one: all sizes are limited.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.tree import model, names

FORMAT = "bareos-vmsnap manifest"
VERSION = 3
PIECE = 400_000  # bytes; Bareos' limit is just below 1,000,000 as stored
MAX_PIECES = 250
MAX_TEXT = 256 << 20  # bytes of the JSON text; a year's daily backups of ten disks take some 5 MB
_MAGIC = b"vmsnap-manifest"
_MAX_FIRST_LINE = 8192  # bytes
_BLOCK = 64 << 10
_UNSEALED = b"0" * 64  # what stands in place of the digest while it is computed
_BEGINNING = re.compile(
    rb'\{\n "format": "bareos-vmsnap manifest",\n "version": (\d{1,9}),\n'
    rb'(?: "digest": "([0-9a-f]{64})",\n)?'
)
_LONGEST_BEGINNING = 512  # bytes


class ManifestError(VmsnapError):
    """A manifest cannot be used; the message says why."""

    id = "manifest-damaged"


class ManifestTooNewError(ManifestError):
    """A manifest was written by a newer version."""

    id = "manifest-too-new"


class ManifestTooLargeError(ManifestError):
    """A manifest is larger than any reader accepts."""

    id = "manifest-too-large"


def to_json(tree: model.BlockTree) -> bytes:
    """The manifest as human-readable UTF-8 JSON. Raises ManifestTooLargeError."""
    text = sealed(dataclass_json.encode(tree))
    if len(text) > MAX_TEXT:
        raise ManifestTooLargeError(
            f"the manifest of VM {tree.vm.name} has {len(text)} bytes, at most {MAX_TEXT} can be "
            "read back",
            todo="Run a Full: its manifest holds no deleted snapshots",
        )
    return text


def sealed(content: Mapping[str, Any]) -> bytes:
    """The text of a manifest with this content: before it come format, version and digest."""
    head = {"format": FORMAT, "version": VERSION, "digest": _UNSEALED.decode()}
    ordered = {**head, **{key: value for key, value in content.items() if key not in head}}
    document = json.dumps(ordered, ensure_ascii=False, indent=1)
    text = document.encode() + b"\n"
    digest = hashlib.sha256(text).hexdigest().encode()
    return text.replace(_UNSEALED, digest, 1)


def read(source: BinaryIO) -> model.BlockTree:
    """The manifest in a file. Raises ManifestError, OSError."""
    text = b""
    while block := source.read(MAX_TEXT + 1 - len(text)):
        text += block
    return from_json(text)


def from_json(text: bytes) -> model.BlockTree:
    """Parse a manifest. Raises ManifestError (unreadable, inconsistent) or ManifestTooNewError."""
    _check_digest(text[at : at + _BLOCK] for at in range(0, len(text), _BLOCK))
    try:
        document = json.loads(text)
        tree: model.BlockTree = dataclass_json.decode(model.BlockTree, document)
        _check_configs(tree)
    except dataclass_json.MismatchError as error:
        raise ManifestError(f"the manifest does not hold what it should: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"the manifest is not JSON: {error}") from error
    _check(tree)
    return tree


def _check_digest(blocks: Iterable[bytes]) -> int:
    """Check format, digest and version of a manifest's text; return its size in bytes.

    Keeps no more than a block. Raises ManifestError, ManifestTooNewError.
    """
    stream = iter(blocks)
    beginning = b""
    while len(beginning) < _LONGEST_BEGINNING and (block := next(stream, b"")):
        beginning += block
    found = _BEGINNING.match(beginning)
    if found is None:
        raise ManifestError(
            "this is not a bareos-vmsnap manifest, or its beginning is damaged",
            id="manifest-foreign",
        )
    version, digest = int(found.group(1)), found.group(2)
    if digest is None:
        # Versions 1 and 2 were only written before the first release.
        raise ManifestError(f"the manifest has version {version} and no digest: it cannot be used")
    begin, end = found.span(2)
    computed = hashlib.sha256(beginning[:begin] + _UNSEALED + beginning[end:])
    size = len(beginning)
    for block in stream:
        size += len(block)
        if size > MAX_TEXT:
            raise ManifestTooLargeError(f"the manifest has more than {MAX_TEXT} bytes")
        computed.update(block)
    if computed.hexdigest().encode() != digest:
        raise ManifestError("the manifest is damaged: it does not match its digest")
    if version > VERSION:
        raise ManifestTooNewError(
            f"the manifest has version {version}, this program reads up to {VERSION}"
        )
    if version < VERSION:
        raise ManifestError(f"the manifest has version {version}, which was never released")
    return size


def _check_configs(tree: model.BlockTree) -> None:
    for key, config in tree.configs.items():
        if config_key(config) != key:
            raise ManifestError(f"configuration {key} of the manifest does not match its key")


def _check(tree: model.BlockTree) -> None:
    """Whether all that is named is there; linear in the size of the tree."""
    if not names.is_directory_of(tree.directory, tree.vm.instance_uuid):
        raise ManifestError(
            f"the manifest contradicts itself: {tree.directory} is not the directory of the VM "
            f"with the instance UUID {tree.vm.instance_uuid}"
        )
    try:
        named = list(tree.nodes)
        for key, node in tree.nodes.items():
            tree.configs[node.config]
            if key != node.id:
                raise LookupError(f"node {node.id!r} is filed under {key!r}")
        point = tree.point
        live = [(snapshot.node, snapshot.parent) for snapshot in point.snapshots]
        links = [(point.state, point.current), *live]
        named += [node for link in links for node in link if node is not None]
        for key, segment in tree.segments.items():
            named.append(segment.node)
            if segment.base is not None:
                named.append(segment.base)
            if key != segment.name:
                raise LookupError(f"segment {segment.name!r} is filed under {key!r}")
        tree.with_bases(named)
    except LookupError as error:
        raise ManifestError(f"the manifest contradicts itself: {error}") from error


def config_key(config: Any) -> str:
    """The key of a configuration: a digest of it. Equal ones share it and are stored once."""
    text = json.dumps(config, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def to_pieces(tree: model.BlockTree, name: str) -> list[bytes]:
    """The manifest as restore objects, each with at most PIECE bytes of incompressible content.

    Every piece begins with a line of JSON: {"manifest", "piece", "pieces", "sha256"}.
    Raises ManifestTooLargeError.
    """
    packed = zlib.compress(to_json(tree), 9)
    digest = hashlib.sha256(packed).hexdigest()
    parts = [packed[at : at + PIECE] for at in range(0, len(packed), PIECE)]
    if len(parts) > MAX_PIECES:
        raise ManifestTooLargeError(
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
    """The name of the manifest that a restore object is a piece of. Raises ManifestError."""
    return _split(piece)[0].manifest


def _split(piece: bytes) -> tuple[_FirstLine, bytes]:
    """The first line of a piece, checked, and what follows it."""
    end = piece.find(b"\n", 0, _MAX_FIRST_LINE)
    if end < 0 or not piece.startswith(_MAGIC + b" "):
        raise ManifestError(
            "a restore object is not a piece of a bareos-vmsnap manifest", id="manifest-foreign"
        )
    try:
        fields = json.loads(piece[len(_MAGIC) + 1 : end])
        line: _FirstLine = dataclass_json.decode(_FirstLine, fields)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"a restore object has a damaged first line: {error}") from error
    if not 0 <= line.piece < line.pieces <= MAX_PIECES or len(piece) - end - 1 > PIECE:
        raise ManifestError(
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
        """Take one restore object. Raises ManifestError if it is not a piece of a manifest."""
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
        """The manifest of that name. Raises ManifestError if pieces are missing or damaged."""
        failures: list[ManifestError] = []
        for (digest, count), parts in self._parts[name].items():
            try:
                return _assemble(name, digest, count, parts)
            except ManifestError as error:
                failures.append(error)
        raise failures[0]


def _assemble(name: str, digest: str, count: int, parts: Mapping[int, bytes]) -> model.BlockTree:
    missing = [n for n in range(count) if n not in parts]
    if missing:
        raise ManifestError(
            f"manifest {name}: pieces {missing} of {count} are missing", id="manifest-incomplete"
        )
    packed = b"".join(parts[n] for n in range(count))
    if hashlib.sha256(packed).hexdigest() != digest:
        raise ManifestError(f"manifest {name}: its restore objects are damaged")
    try:
        # First a block at a time: what is no manifest may decompress to any size.
        size = _check_digest(_decompressed(packed))
        text = zlib.decompressobj().decompress(packed, size)
    except zlib.error as error:
        raise ManifestError(f"manifest {name}: its restore objects are damaged: {error}") from error
    return from_json(text)


def _decompressed(packed: bytes) -> Iterator[bytes]:
    """The decompressed data in blocks. Raises zlib.error, ManifestError."""
    stream = zlib.decompressobj()
    pending = packed
    while not stream.eof:
        block = stream.decompress(pending, _BLOCK)
        pending = stream.unconsumed_tail
        if not block and not pending and not stream.eof:
            raise ManifestError("a restore object is cut off")
        if block:
            yield block
