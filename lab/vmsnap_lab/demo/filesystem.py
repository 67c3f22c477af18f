# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A real ext4 file system whose files change from snapshot to snapshot."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

BLOCK = 4096
_SBIN = "/usr/sbin:/sbin:/usr/bin:/bin"


class FileSystem:
    """An ext4 image in a file. Changes are made with e2fsprogs, without mounting it."""

    def __init__(self, image: Path) -> None:
        self.image = image

    @classmethod
    def make(cls, image: Path, size: int, files: Mapping[str, bytes]) -> FileSystem:
        """Make a file system of `size` bytes that holds `files`."""
        with image.open("wb") as disk:
            disk.truncate(size)
        tree = image.with_suffix(".files")
        for name, content in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _run("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), "-d", str(tree), str(image))
        shutil.rmtree(tree)
        return cls(image)

    def copy(self, image: Path) -> FileSystem:
        """The same file system in another file, to go another way from here."""
        shutil.copyfile(self.image, image)
        return FileSystem(image)

    def change(self, write: Mapping[str, bytes], remove: Sequence[str] = ()) -> None:
        """Write and remove files of the root directory."""
        commands = [f"rm {name}" for name in remove]
        sources = []
        for number, (name, content) in enumerate(write.items()):
            source = self.image.with_suffix(f".{number}")
            source.write_bytes(content)
            sources.append(source)
            commands.append(f"write {source} {name}")
        script = self.image.with_suffix(".debugfs")
        script.write_text("\n".join(commands) + "\n")
        _run("debugfs", "-w", "-f", str(script), str(self.image))
        for path in (script, *sources):
            path.unlink()

    def check(self) -> None:
        """Raise CalledProcessError when the file system is not clean."""
        _run("e2fsck", "-f", "-n", str(self.image))

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return _run("debugfs", "-R", f"cat {name}", str(self.image))

    def changes_since(self, before: Path | None) -> list[tuple[int, bytes]]:
        """(offset, data) of the blocks that differ from the image `before`, or are not zero."""
        changed: list[tuple[int, bytes]] = []
        with self.image.open("rb") as new, (before or Path("/dev/zero")).open("rb") as old:
            offset = 0
            while block := new.read(BLOCK):
                if block != old.read(len(block)):
                    changed.append((offset, block))
                offset += len(block)
        return changed


def _run(*command: str) -> bytes:
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"PATH": _SBIN}
    ).stdout
