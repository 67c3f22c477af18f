# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The password reaches vCenter and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..e2e import processes
from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from .joblog import check_ok
from .proxy import Proxy

EVERYTHING = "setdebug all level=500 trace=1"


@contextmanager
def watched() -> Iterator[set[bytes]]:
    """The command lines of all processes meanwhile."""
    seen: set[bytes] = set()
    end = threading.Event()

    def watch() -> None:
        while not end.wait(0.02):
            pids = [name for name in Path("/proc").iterdir() if name.name.isdigit()]
            seen.update(processes.read(int(pid.name), "cmdline") for pid in pids)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()


def test_the_password_is_nowhere(proxy: Proxy) -> None:
    bareos, secret = proxy.bareos, proxy.lab.password.encode()
    machine = proxy.create([MIB], name="web1")
    draw(machine, "A\n  B *\n")
    bareos.console(EVERYTHING)
    try:
        with watched() as commands:
            check_ok(bareos.backup("web1"))
            machine.destroy()
            check_ok(bareos.restore("web1"))
    finally:
        bareos.console("setdebug all level=0 trace=0")

    assert any(b"bareos_vmsnap.mover" in command for command in commands)
    assert not [command for command in commands if secret in command]
    assert secret not in bareos.database.dump().encode()
    root = bareos.root
    files = [
        path for path in root.rglob("*") if path.is_file() and root / "lab" not in path.parents
    ]
    traces = [path for path in files if path.suffix == ".trace"]
    assert len(traces) == 3, "a trace of each daemon"
    assert any(b"config_file" in path.read_bytes() for path in traces)
    holding = [path for path in files if secret in path.read_bytes()]
    assert holding == [root / "etc" / "vmsnap" / "vcenter.password"]
    for trace in traces:
        trace.unlink()
