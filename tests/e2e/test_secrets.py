# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The password is seen nowhere: not in what is stored, nor in processes, nor in messages."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from vmsnap_lab.filedaemon import JobResult

from . import processes
from .hardware import MIB
from .joblog import check_failed, check_ok, log
from .pictures import draw
from .site import Site

PASSWORD = "Gartenzwerg&<9>%41:ü"


def forms(password: str) -> list[bytes]:
    """The password in the forms it could be found in."""
    return [
        password.encode(),
        quote(password).encode(),
        password.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode(),
        base64.b64encode(password.encode()).rstrip(b"="),
        base64.b85encode(password.encode()),
    ]


def check_secret(text: bytes, where: object) -> None:
    found = [form for form in forms(PASSWORD) if form in text]
    assert found == [], f"the password is in {where}"


def check_job(job: JobResult) -> None:
    check_secret(log(job).encode(), "the job log")
    check_secret(repr(job.trace).encode(), "the calls of the plugin")
    check_secret(repr(job).encode(), "what the job tells")


@contextmanager
def watched_processes(site: Site) -> Iterator[set[str]]:
    """Looks at the arguments and environments of all processes all the time; yields what it saw."""
    seen: set[str] = set()
    leaks: list[str] = []
    end = threading.Event()

    def watch() -> None:
        while not end.wait(0.01):
            for pid in processes.marked(site.mark):
                for what in ("cmdline", "environ"):
                    text = processes.read(pid, what)
                    seen.add("mover" if b"bareos_vmsnap.mover" in text else "job")
                    if any(form in text for form in forms(PASSWORD)):
                        leaks.append(f"{what} of {processes.describe(pid)}")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()
    assert leaks == []


def check_files(*folders: Path) -> None:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                check_secret(path.read_bytes(), path)


def use(site: Site, password: str) -> None:
    site.lab.vcenter.add_user(site.lab.user, password)
    site.password_file.write_text(password + "\n", encoding="utf-8")


@pytest.mark.parametrize("kept_in", ["vcpass_file", "config_file", "defaults_file"])
def test_the_password_stays_a_secret(site: Site, kept_in: str) -> None:
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B\n")
    use(site, PASSWORD)
    options: dict[str, Any] = {"vcpass_file": str(site.password_file)}
    if kept_in == "config_file":
        private = site.directory / "vmware.ini"
        private.touch(mode=0o600)
        private.write_text(f"[vmware_plugin_options]\nvcpass={PASSWORD}\n", encoding="utf-8")
        options = {"vcpass_file": None, "config_file": str(private)}
    if kept_in == "defaults_file":
        encoded = base64.b85encode(PASSWORD.encode()).decode()
        defaults = site.directory / "defaults.ini"
        defaults.write_text(f"vcpass#enc={encoded}\n")
        options = {"vcpass_file": None, "defaults_file": str(defaults)}

    with watched_processes(site) as seen:
        backup = site.backup(**options)
        check_ok(backup)
        machine.destroy()
        restore = site.restore()
        check_ok(restore)
        refused = site.backup(**options, vcuser="nobody@vsphere.local")
        check_failed(refused, "refused the login")
    assert seen == {"job", "mover"}
    for job in (backup, restore, refused):
        check_job(job)
    check_files(site.directory / "bareos", site.temporary)


def test_a_password_in_the_plugin_line_is_warned_of(site: Site) -> None:
    site.create(disks=[MIB])
    use(site, "simple-password")
    job = site.backup(vcpass="simple-password", vcpass_file=None)
    assert job.status == "T"
    warnings = [m.text for m in job.messages if m.type == "M_WARNING"]
    assert len(warnings) == 1
    assert "use vcpass_file or config_file" in warnings[0]
    assert "simple-password" not in log(job)
