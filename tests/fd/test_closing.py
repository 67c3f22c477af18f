# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What closes a job does all of its steps, whatever one of them does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.restore_job import RestoreJob
from bareos_vmsnap.fd.vm_restore import VmRestore
from bareos_vmsnap.target.destination import Destination
from bareos_vmsnap.target.new_vm import NewVm

ERRORS = [StopIteration, KeyError, OSError]


class Recorder:
    """Notes every call of a method; those in `failing` raise after it."""

    def __init__(self, calls: list[str], name: str, *failing: str, error: Any = OSError) -> None:
        self._calls, self._name, self._failing, self._error = calls, name, failing, error

    def __getattr__(self, method: str) -> Callable[..., str]:
        def call(*_: Any, **__: Any) -> str:
            self._calls.append(f"{self._name}.{method}")
            if method in self._failing:
                raise self._error(method)
            return f"{self._name} did {method}"

        return call


def new_vm(calls: list[str], error: Any) -> NewVm:
    session = Recorder(calls, "session")
    block = Recorder(calls, "block", "release", error=error)
    unused: Any = None
    return NewVm(
        session,  # type: ignore[arg-type]
        unused,
        unused,
        block,  # type: ignore[arg-type]
        Destination("copy", "Lab", "/", "", change_tracking=True),
        "job",
        threading.Event(),
        print,
        print,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("error", ERRORS)
def test_a_new_vm_logs_out(error: Any) -> None:
    calls: list[str] = []
    with pytest.raises(error):
        new_vm(calls, error).close()
    assert calls == ["block.release", "session.close"]


def vm_restore(calls: list[str], tmp_path: Path, *failing: str, error: Any) -> Any:
    info = JobInfo(1, "job", "R", "host", tmp_path)
    unused: Any = None
    options: Any = Recorder([], "options")
    restore: Any = VmRestore(options, info, unused, unused, unused)
    restore._writers = Recorder(calls, "writers", *failing, error=error)
    restore._target = Recorder(calls, "target", *failing, error=error)
    restore._spool = Recorder(calls, "spool", *failing, error=error)
    return restore


@pytest.mark.parametrize("error", ERRORS)
def test_the_restore_of_a_vm_closes_everything(error: Any, tmp_path: Path) -> None:
    calls: list[str] = []
    restore = vm_restore(calls, tmp_path, "close", error=error)
    with pytest.raises(error):
        restore.close()
    assert calls == ["writers.close", "target.close", "spool.close"]


@pytest.mark.parametrize("error", ERRORS)
def test_the_restore_of_a_vm_is_abandoned_and_closed(error: Any, tmp_path: Path) -> None:
    calls: list[str] = []
    restore = vm_restore(calls, tmp_path, "close", "abandon", error=error)
    with pytest.raises(error):
        restore.abandon()
    assert calls == ["writers.close", "target.abandon", "target.close"]


@pytest.mark.parametrize("error", ERRORS)
def test_every_vm_of_a_restore_is_closed(error: Any, tmp_path: Path) -> None:
    calls: list[str] = []
    job: Any = RestoreJob("python3", print, JobInfo(1, "job", "R", "host", tmp_path), None)  # type: ignore[arg-type]
    job._launcher = Recorder(calls, "launcher", "close", error=error)
    for name in ("one", "two"):
        job._vm(f"/@vmsnap/{name}/x").job = Recorder(calls, name, "close", "abandon", error=error)
    assert job.abandon().count("could not be cleaned up") == 2
    with pytest.raises(error):
        job.close()
    assert sorted(calls) == [
        *("launcher.close", "one.abandon", "one.close", "two.abandon", "two.close")
    ]
