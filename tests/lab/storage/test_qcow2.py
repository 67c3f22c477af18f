# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the storage reads and writes in qcow2 files itself, compared with what qemu makes of it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import nbd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmsnap_lab.storage import qcow2

from .helpers import BLOCK, refused


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def dirty_by_qemu(file: Path) -> list[tuple[int, int]]:
    """(start, length) in bytes of the bitmap `cbt` as qemu-nbd shows it."""
    found: list[tuple[int, int]] = []
    context = "qemu:dirty-bitmap:cbt"

    def collect(metacontext: str, offset: int, entries: list[int], error: int) -> int:
        for length, dirty in zip(entries[::2], entries[1::2]):
            if metacontext == context and dirty:
                found.append((offset, length))
            offset += length
        return 0

    handle = nbd.NBD()
    handle.add_meta_context(context)
    handle.connect_systemd_socket_activation(
        ["qemu-nbd", "-r", "-f", "qcow2", "-B", "cbt", str(file)]
    )
    handle.block_status(handle.get_size(), 0, collect)
    handle.shutdown()
    return found


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 999), st.integers(1, 40)), max_size=12))
def test_a_bitmap_is_read_as_qemu_reads_it(writes: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "disk.qcow2")
        run("qemu-img", "create", "-f", "qcow2", str(file), str(1040 * BLOCK + 512))
        run("qemu-img", "bitmap", "--add", "-g", "65536", str(file), "other")
        run("qemu-img", "bitmap", "--add", "-g", "65536", str(file), "cbt")
        commands = [f"-c write -z {first * BLOCK} {count * BLOCK}" for first, count in writes]
        run("qemu-io", "-f", "qcow2", *commands, "-c", f"write {1040 * BLOCK} 512", str(file))
        bitmap = qcow2.read_bitmap(file, "cbt")
        assert bitmap is not None
        assert (bitmap.consistent, bitmap.granularity) == (True, BLOCK)
        end = 1040 * BLOCK + 512
        found = [(a * BLOCK, min((a + n) * BLOCK, end) - a * BLOCK) for a, n in bitmap.granules]
        assert found == dirty_by_qemu(file)


def test_a_bitmap_with_all_bits_set(tmp_path: Path) -> None:
    """More than one table entry: 40 GiB at 64 KiB are 80 KiB of bits."""
    file = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-f", "qcow2", str(file), "40G")
    run("qemu-img", "bitmap", "--add", "-g", "65536", str(file), "cbt")
    run("qemu-io", "-f", "qcow2", *(f"-c write -z -u {n}G 1G" for n in range(40)), str(file))
    bitmap = qcow2.read_bitmap(file, "cbt")
    assert bitmap is not None
    assert bitmap.granules == ((0, 40 * 16384),)
    assert qcow2.read_bitmap(file, "another") is None


def test_a_bitmap_whose_writer_is_at_work(tmp_path: Path) -> None:
    file = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-f", "qcow2", str(file), "1M")
    run("qemu-img", "bitmap", "--add", "-g", "65536", str(file), "cbt")
    handle = nbd.NBD()
    handle.connect_systemd_socket_activation(["qemu-nbd", "-f", "qcow2", str(file)])
    bitmap = qcow2.read_bitmap(file, "cbt")
    handle.shutdown()
    assert bitmap is not None
    assert not bitmap.consistent


@pytest.mark.parametrize("name", ["./p", "./" + "long" * 250, "./ü ber/磁盘.vmdk"])
def test_a_parent_is_named_as_qemu_names_it(tmp_path: Path, name: str) -> None:
    file = tmp_path / "disk.qcow2"
    run(
        "qemu-img",
        "create",
        "-u",
        "-f",
        "qcow2",
        "-F",
        "qcow2",
        "-b",
        "./middling",
        str(file),
        "1M",
    )
    run("qemu-img", "bitmap", "--add", str(file), "cbt")
    qcow2.set_backing(file, name)
    described = json.loads(run("qemu-img", "info", "--output=json", str(file)))
    assert described["backing-filename"] == name
    assert described["backing-filename-format"] == "qcow2"
    assert qcow2.read_header(file) == qcow2.Header(1 << 20, 65536, name)
    assert qcow2.read_bitmap(file, "cbt") is not None


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-f", "qcow2", str(file), "1M")
    with refused("corrupt"):  # it has no parent at all
        qcow2.set_backing(file, "./p")
    with refused("bad-request"):
        qcow2.set_backing(file, "./" + "x" * 1022)


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"# Disk DescriptorFile\n" * 10])
def test_files_of_other_kinds(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "disk.vmdk"
    file.write_bytes(content)
    with refused("corrupt"):
        qcow2.read_header(file)
