# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The manifest: the block tree as human-readable JSON.

Described in docs/format.md. The text contains a digest of itself, which is checked before anything
else is used. Nothing is allocated by the word of a damaged one: all sizes are limited.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.tree import model, names

FORMAT = "bareos-vmsnap manifest"
VERSION = 3
MAX_TEXT = 256 << 20  # bytes of the JSON text; a year's daily backups of ten disks take some 5 MB
BLOCK = 64 << 10  # bytes that are looked at together
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
    check_digest(text[at : at + BLOCK] for at in range(0, len(text), BLOCK))
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


def check_digest(blocks: Iterable[bytes]) -> int:
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
