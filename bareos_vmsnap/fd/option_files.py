# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The files that options name: config_file, vcpass_file and texts. Passwords stay secret."""

from __future__ import annotations

import configparser
import os
import stat
from pathlib import Path

from bareos_vmsnap.errors import OptionError
from bareos_vmsnap.fd.option_values import refuse_unprintable

SECTION = "vmware_plugin_options"


def read_text(path: Path) -> str:
    """The text of a file that an option names. Raises OptionError."""
    return _decoded(path, _read(path)[0])


def read_config(path: str) -> dict[str, str]:
    """The options of a config_file. Raises OptionError."""
    content, status = _read(Path(path))
    reader = configparser.ConfigParser(interpolation=None)
    try:
        reader.read_string(_decoded(Path(path), content))
    except configparser.Error as error:
        place = getattr(error, "lineno", None)
        where = f", line {place}" if place else ""
        raise OptionError(
            f"config_file {path}{where} cannot be parsed", id="config-file-invalid"
        ) from error
    if not reader.has_section(SECTION):
        raise OptionError(
            f"config_file {path} has no section [{SECTION}]", id="config-file-invalid"
        )
    # Of any section: it is a password even if it is in the wrong place.
    if any(reader.has_option(section, "vcpass") for section in (SECTION, *reader.sections())):
        _check_private(Path(path), status)
    return dict(reader.items(SECTION))


def read_password(path: Path) -> str:
    """The password of a vcpass_file. Raises OptionError."""
    content, status = _read(path)
    _check_private(path, status)
    first, _, _ = content.partition(b"\n")
    password = _decoded(path, first).rstrip("\r")
    if not password:
        raise OptionError(
            f"vcpass_file {path} has no password in its first line", id="password-missing"
        )
    try:
        refuse_unprintable(password)
    except ValueError as error:
        raise OptionError(
            f"vcpass_file {path}: the password {error}", id="option-invalid"
        ) from None
    return password


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    try:
        with path.open("rb") as file:
            return file.read(), os.fstat(file.fileno())
    except (OSError, ValueError) as error:  # the latter for a path that cannot be one
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            f"{path} cannot be read: {reason}", id="option-file-unreadable"
        ) from error


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        # Without a cause: its text would show a part of the file, perhaps of a password.
        raise OptionError(
            f"{path}, line {line} cannot be read: it is not UTF-8",
            todo="Save the file with the encoding UTF-8",
            id="option-file-unreadable",
        ) from None


def _check_private(path: Path, status: os.stat_result) -> None:
    """Refuse a file that others than root and the user of this process can read."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        problem = f"others may read it (mode {mode:o})"
    elif status.st_uid not in (0, os.geteuid()):
        problem = f"it belongs to another user (number {status.st_uid})"
    else:
        return
    raise OptionError(
        f"{path} holds a password and {problem}",
        todo=f"chown root {path}; chmod 600 {path}",
        id="password-exposed",
    )
