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
import tempfile
from pathlib import Path
from typing import Any, Callable

from bareos_vmsnap.lab.filedaemon import FileDaemon
from bareos_vmsnap.lab.lab import Lab

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from ..e2e.pictures import draw
from . import installation, shipped
from .bareos import RECORDER, Bareos
from .proxy import Proxy

Trace = list[dict[str, Any]]
RECORDED = Path(__file__).parent / "traces" / "scenario.json"
_MODULE = RECORDER.stem
_NAME = "recorded"


def recorded() -> dict[str, Trace]:
    """The committed traces of the real file daemon, by job."""
    traces: dict[str, Trace] = json.loads(RECORDED.read_text())
    return traces


def play(run: Callable[[str], str], find: Callable[[], Machine], trace: Path) -> dict[str, Trace]:
    """Play the scenario; the last job fails, since the VM is gone.

    `run` runs the job called estimate, Full, Incremental, or restore, the backups Accurate, and
    returns its status letter; `find` finds the VM.
    """
    machine = find()
    draw(machine, "A\n  B *\n")
    played = {}
    for job in ("estimate", "Full", "Incremental", "restore", "failing"):
        trace.write_text("")
        if job == "Incremental":
            machine.remove(machine.roots[0].snapshot)
            machine.scribble("more")
        elif job == "restore":
            machine.destroy()
        status = run("Full" if job == "failing" else job)
        assert status == ("f" if job == "failing" else "T"), (job, status)
        played[job] = _normal(trace.read_text())
        if job == "restore":
            find().destroy()
    return played


def play_real(proxy: Proxy) -> dict[str, Trace]:
    """On the installed Bareos."""
    bareos = proxy.bareos
    proxy.create([MIB], name=_NAME, module=_MODULE, job="  Accurate = yes\n")

    def run(job: str) -> str:
        if job == "estimate":
            bareos.console(f"estimate job=backup-vm-{_NAME} level=Full listing")
            return "T"
        if job == "restore":
            return bareos.restore(_NAME).status
        return bareos.backup(_NAME, job).status

    return play(run, lambda: proxy.find(_NAME), bareos.trace)


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

        def run(job: str) -> str:
            if job == "estimate":
                return daemon.estimate(line, environment=environment).status
            if job == "restore":
                return daemon.restore(environment=environment).status
            done = daemon.backup(line, level=job, accurate=True, environment=environment)
            return done.status

        return play(run, lambda: Machine(lab, lab.guest(_NAME), client), trace)


def _normal(lines: str) -> Trace:
    """Without what differs from run to run, as the order in which check_file asks for names; equal
    successive calls are one."""
    stable = re.sub(r"\d{8}T\d{6}Z-j\d+", "TIMEPOINT", lines)
    stable = re.sub(rf"{_NAME}\.[0-9a-f]{{8}}", f"{_NAME}.UUID", stable)
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
