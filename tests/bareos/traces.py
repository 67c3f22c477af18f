# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Traces: what calls a file daemon makes for the jobs of a scenario, real or loopback.

    python3 -m tests.bareos.traces

records them again from the installed Bareos. A trace has no times, ids or paths in it; calls of one
kind in a row are one.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Optional, Protocol

from vmsnap_lab.filedaemon import Cancel, FileDaemon
from vmsnap_lab.lab import Lab

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from ..e2e.pictures import draw
from . import installation, shipped
from .bareos import RECORDER, Bareos
from .proxy import Proxy, until

Trace = list[dict[str, Any]]
RECORDED = Path(__file__).parent / "traces" / "scenario.json"
_MODULE = RECORDER.stem
_NAME = "recorded"
_SECONDS = 4  # how long what is interrupted takes
_SLOW = {"Full": "CreateSnapshot_Task", "restore": "CreateVM_Task"}


def recorded() -> dict[str, Trace]:
    """The committed traces of the real file daemon, by job."""
    traces: dict[str, Trace] = json.loads(RECORDED.read_text())
    return traces


class Runner(Protocol):
    """Runs the jobs of the scenario. Backups are Accurate."""

    def __call__(self, job: str, interruption: Optional[str] = None) -> str:
        """Run the job called estimate, Full, Incremental or restore; return its status letter.

        `interruption`: "cancel", or "kill" the file daemon, while vCenter takes the backup
        snapshot, or creates the VM that is being restored.
        """


# The jobs in their order: name, what is run, its interruption, how it ends.
_SCENARIO = (
    ("estimate", "estimate", None, "T"),
    ("canceled", "Full", "cancel", "A"),
    ("killed", "Full", "kill", "f"),
    ("Full", "Full", None, "T"),
    ("Incremental", "Incremental", None, "T"),
    ("canceled restore", "restore", "cancel", "A"),
    ("killed restore", "restore", "kill", "f"),
    ("restore", "restore", None, "T"),
    ("failing", "Full", None, "f"),
)


def play(run: Runner, find: Callable[[], Machine], lab: Lab, trace: Path) -> dict[str, Trace]:
    """Play the scenario; the last job fails, since the VM is gone. `find` finds the VM."""
    machine = find()
    draw(machine, "A\n  B *\n")
    played = {}
    for name, job, interruption, end in _SCENARIO:
        trace.write_text("")
        if name == "Incremental":
            machine.remove(machine.roots[0].snapshot)
            machine.scribble("more")
        elif name == "canceled restore":
            machine.destroy()
        if interruption:
            lab.habits.task_seconds_of[_SLOW[job]] = _SECONDS
        status = run(job, interruption)
        lab.habits.task_seconds_of.clear()
        assert status == end, (name, status)
        _wait_for_vcenter(lab)
        played[name] = _normal(trace.read_text())
        if job == "restore":
            for vm in lab.vcenter.vms():
                Machine(lab, lab.guest(vm.moid), machine.client).destroy()
    return played


def _wait_for_vcenter(lab: Lab) -> None:
    while any(task.info.state == "running" for task in lab.vcenter.tasks.recentTask):
        time.sleep(0.1)


def play_real(proxy: Proxy) -> dict[str, Trace]:
    """On the installed Bareos."""
    bareos = proxy.bareos
    proxy.create([MIB], name=_NAME, module=_MODULE, job="  Accurate = yes\n")

    def run(job: str, interruption: Optional[str] = None) -> str:
        if job == "estimate":
            bareos.console(f"estimate job=backup-vm-{_NAME} level=Full listing")
            return "T"
        if job == "restore":
            jobid = bareos.start_restore(_NAME)
        else:
            jobid = bareos.start_job(f"run job=backup-vm-{_NAME} level={job} yes")
        if interruption:
            until(lambda: proxy.runs(_SLOW[job]))
        if interruption == "cancel":
            bareos.console(f"cancel jobid={jobid} yes")
        elif interruption == "kill":
            bareos.file.end_by(signal.SIGKILL)
        ended = bareos.wait(jobid)
        if interruption == "kill":
            bareos.file.start()
            proxy.forget_killed()
        until(lambda: not proxy.remains() or interruption == "kill")
        return ended.status

    return play(run, lambda: proxy.find(_NAME), proxy.lab, bareos.trace)


def play_loopback(directory: Path) -> dict[str, Trace]:
    """On the loopback file daemon."""
    plugins = directory / "plugins"
    plugins.mkdir()
    for target in (RECORDER, shipped.REPOSITORY / "bareos_vmsnap"):
        (plugins / target.name).symlink_to(target)
    with Lab(directory / "lab") as lab:
        client = lab.connect()
        lab.create_vm(_NAME, [MIB])
        daemon = FileDaemon(directory / "bareos", plugin_path=plugins)
        secret = directory / "password"
        secret.touch(mode=0o600)
        secret.write_text(lab.password + "\n")
        options = {
            "vcserver": lab.host,
            "vcport": str(lab.port),
            "vcuser": lab.user,
            "vcpass_file": str(secret),
            "ca_file": str(lab.ca_file),
            "dc": "Lab",
            "vmname": _NAME,
            "transport": "nbd",
            "nbd_uri": lab.nbd_uri.replace(":", "\\:"),
        }
        line = f"python3:module_name={_MODULE}:" + ":".join(f"{k}={v}" for k, v in options.items())
        trace = directory / "trace.jsonl"
        environment = {"VMSNAP_TRACE": str(trace)}

        def run(job: str, interruption: Optional[str] = None) -> str:
            if job == "estimate":
                return daemon.estimate(line, environment=environment).status
            call = ("plugin_io IO_OPEN", 1) if job == "restore" else ("start_backup_file", 1)
            number = signal.SIGKILL if interruption == "kill" else None
            stop = Cancel(*call, signal=number) if interruption else None
            if job == "restore":
                return daemon.restore(environment=environment, cancel=stop).status
            done = daemon.backup(
                line, level=job, accurate=True, environment=environment, cancel=stop
            )
            return done.status

        return play(run, lambda: Machine(lab, lab.guest(_NAME), client), lab, trace)


def _normal(lines: str) -> Trace:
    """Without what differs from run to run, as the order in which check_file asks for names; equal
    successive calls are one."""
    stable = re.sub(r"\d{8}T\d{6}Z-j\d+", "TIMEPOINT", lines)
    stable = re.sub(rf"{_NAME}\.[0-9a-f]{{32}}", f"{_NAME}.UUID", stable)
    calls: Trace = []
    for kind, group in itertools.groupby(map(json.loads, stable.splitlines()), lambda c: c["call"]):
        in_a_row = list(group)
        if kind == "check_file":
            in_a_row.sort(key=lambda call: call["name"])
        for call in in_a_row:
            if not calls or calls[-1] != call:
                calls.append(call)
    return calls


def _record() -> None:
    root = Path(tempfile.mkdtemp(prefix="vmsnap-bareos-", dir="/tmp"))
    root.chmod(0o755)
    try:
        with Lab(root / "lab") as lab:
            bareos = Bareos(installation.find(), root, lab)
            try:
                bareos.start()
                traces = play_real(Proxy(bareos, lab))
            finally:
                bareos.stop()
    finally:
        shutil.rmtree(root)
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(json.dumps(traces, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    _record()
