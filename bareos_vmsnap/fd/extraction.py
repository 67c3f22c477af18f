# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A restore of the virtual files themselves, for `vmsnap verify`, `show` and `rebuild`."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from bareos_vmsnap import errors, system_errors
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.fd.receivers import Receiver, close_whole
from bareos_vmsnap.tree import names


class _ToFile:
    """A file under its virtual name, with ".part" appended until all data has come."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._file: BinaryIO = self._part.open("wb", buffering=0)

    @property
    def data_fd(self) -> int:
        """The file."""
        return self._file.fileno()

    def finish(self) -> None:
        """Give the file its name. Raises errors.RestoreError if the disk was full."""
        close_whole(self._file, self._name)
        self._part.rename(self._path)

    def abort(self) -> None:
        """The file stays, with ".part" in its name."""


class Extraction:
    """Used like VmRestore; needs neither manifest nor vCenter."""

    def __init__(self, options: Options, log: JobLog) -> None:
        if not options.restore_directory:
            raise errors.OptionError(
                "restore_target=files needs restore_directory", id="option-missing"
            )
        self._directory = Path(options.restore_directory)
        self._log = log
        self._count = 0

    def wanted(self, path: str) -> bool:
        """Every virtual file."""
        return names.is_virtual(path) and ".." not in path.split("/")

    def open(self, path: str) -> Receiver:
        """Make the file. Raises errors.RestoreError."""
        try:
            return _ToFile(self._directory / path.lstrip("/"), path)
        except OSError as error:
            cause = system_errors.translated(error)
            raise errors.RestoreError(
                f"{path} cannot be written: {cause.what}", todo=cause.todo, id="file-unwritable"
            ) from cause

    def received(self, receiver: Receiver) -> None:
        """The file is complete."""
        receiver.finish()
        self._count += 1

    def end(self) -> None:
        """Log what was written."""
        self._log.info(f"{self._count} files were written below {self._directory}")

    def abandon(self) -> str:
        """What was written stays."""
        return f"{self._count} complete files below {self._directory}"

    def close(self) -> None:
        """There is nothing to close."""
