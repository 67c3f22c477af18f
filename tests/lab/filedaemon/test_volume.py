# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Volumes by themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vmsnap_lab.filedaemon import streams, volume


def _records(path: Path, end: int) -> list[tuple[int, int, bytes, bool]]:
    return [
        (found.record.file_index, found.record.stream, bytes(found.record.data), found.damaged)
        for found in volume.read(path, volume.START, end)
    ]


def test_pieces_make_one_record(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    large = os.urandom(streams.BLOCK + 1)
    with volume.Writer(path) as writer:
        writer.append(1, streams.FILE_DATA, b"one", b"", b"two")
        middle = writer.position
        writer.append(2, streams.ACL_PLUGIN, large)
        assert path.stat().st_size == writer.position, "something is held back"
        end = writer.position
    second = (2, streams.ACL_PLUGIN, large, False)
    assert _records(path, end) == [(1, streams.FILE_DATA, b"onetwo", False), second]
    assert [bytes(found.record.data) for found in volume.read(path, middle, end)] == [large]


def test_a_record_that_is_written_in_parts(tmp_path: Path, monkeypatch: Any) -> None:
    def short(descriptor: int, pieces: Any) -> int:
        return os.write(descriptor, b"".join(pieces)[:10])

    path = tmp_path / "volume"
    with monkeypatch.context() as patch, volume.Writer(path) as writer:
        patch.setattr(os, "writev", short)
        writer.append(1, streams.FILE_DATA, b"content")
        end = writer.position
    assert _records(path, end) == [(1, streams.FILE_DATA, b"content", False)]


def test_a_volume_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    volume.Writer(path).close()
    with pytest.raises(FileExistsError):
        volume.Writer(path)


def test_a_device_takes_what_nobody_wants_to_keep(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.symlink_to(os.devnull)
    with volume.Writer(path) as writer:
        writer.append(1, streams.FILE_DATA, b"lost")
        assert writer.position > volume.START
    assert path.is_char_device() and path.read_bytes() == b""


def test_what_is_no_volume(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(bytes(1000))
    with pytest.raises(volume.VolumeError, match="is no volume"):
        _records(path, 1000)


@pytest.mark.parametrize(
    ("cut", "message"), [(5, "in the middle of a file"), (30, "in the middle of the record")]
)
def test_a_volume_that_ends_early(cut: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "volume"
    with volume.Writer(path) as writer:
        writer.append(1, streams.FILE_DATA, bytes(100))
        end = writer.position
    os.truncate(path, volume.START + cut)
    with pytest.raises(volume.VolumeError, match=message):
        _records(path, end)
