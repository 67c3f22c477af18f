# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The lab as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbd
import pytest
from pyVim import connect
from pyVmomi import vim

from .client import MIB, new_disk, wait


@contextmanager
def running(directory: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "vmsnap_lab", "serve", str(directory)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def servers(pid: int) -> list[int]:
    """Processes started by any thread of the lab."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def login(ready: dict[str, Any]) -> Any:
    return connect.SmartConnect(
        host=ready["host"],
        port=ready["port"],
        user=ready["user"],
        pwd=Path(ready["password_file"]).read_text().strip(),
        sslContext=ssl.create_default_context(cafile=ready["ca_file"]),
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_server_outlives_the_lab(tmp_path: Path, how: signal.Signals) -> None:
    with running(tmp_path) as (process, ready):
        assert stat.S_IMODE(os.stat(ready["password_file"]).st_mode) == 0o600
        assert ready.keys() >= {"nbd_uri", "nbd_link_uri"}  # options of the plugin
        si = login(ready)
        index = si.content.searchIndex
        spec = vim.vm.ConfigSpec(
            name="vm",
            files=vim.vm.FileInfo(vmPathName="[datastore1]"),
            deviceChange=[new_disk(MIB, 200)],
        )
        pool = index.FindByInventoryPath("Lab/host/esx1.lab/Resources")
        vm = wait(index.FindByInventoryPath("Lab/vm").CreateVM_Task(spec, pool))
        handle = nbd.NBD()
        handle.set_uri_allow_local_file(True)
        uri = ready["nbd_uri"].format(vm=vm._moId, snapshot="current", disk=3000)
        handle.connect_uri(uri)
        started = servers(process.pid)
        assert started
        process.send_signal(how)
        code = process.wait(60)
        assert code == (0 if how != signal.SIGKILL else -signal.SIGKILL)
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in started):
            assert time.monotonic() < deadline, "servers outlive the lab"
            time.sleep(0.05)
        del handle
        si._stub.DropConnections()


def test_certificates_are_kept(tmp_path: Path) -> None:
    with running(tmp_path) as (_, first):
        pass
    with running(tmp_path) as (_, second):
        assert first["thumbprint"] == second["thumbprint"]
        login(second)._stub.DropConnections()
