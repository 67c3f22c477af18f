# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The process as its client sees it, on the lab's VDDK."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.relocation_block.answers import (
    BLOCKED,
    CANCELED,
    FAILED,
    MISSING,
    OTHERS,
    REPLACED,
    Answer,
)
from bareos_vmsnap.relocation_block.client import BlockProcess
from bareos_vmsnap.relocation_block.plan import BlockPlan
from bareos_vmsnap.transport import TransportError
from tests.mover.harness import wait_until
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError

from .conftest import SECRET, Vm


def holder(lab: Lab) -> int:
    """The process that has begun to use the library last."""
    return lab.vddk.processes[-1].pid


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_from_beginning_to_end(lab: Lab, vm: Vm) -> None:
    block = vm.block()
    assert block.wait() == Answer(BLOCKED)
    assert vm.blocked_for == [f"bareos-vmsnap {vm.moref}"]
    process = lab.vddk.processes[-1]
    assert set(process.environment) == {
        *("PATH", "LC_ALL", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH"),
    }
    folder = Path(process.environment["TMPDIR"])
    assert folder.stat().st_mode & 0o777 == 0o700
    for text in (*process.arguments, *process.environment.values()):
        assert SECRET not in text
    assert SECRET not in "".join(p.read_text() for p in folder.iterdir())
    assert block.release() == ""
    assert vm.blocked_for == []
    assert block.release() == ""
    assert not folder.exists()
    assert gone(process.pid)
    assert [call.name for call in lab.vddk.calls] == ["InitEx", "PrepareForAccess", "EndAccess"]
    assert vm.log.read_text() == "", "nothing to tell"


def test_what_vddk_logs_is_kept_without_the_password(lab: Lab, vm: Vm) -> None:
    lab.vddk.habits.fail("EndAccess", VixError.HOST_TCP_CONN_LOST)
    block = vm.block(debug=True, user=SECRET)
    answer = block.wait()
    block.release()
    assert answer.outcome == FAILED
    assert "refused the login" in answer.message
    text = vm.log.read_text()
    assert (
        f"{vm.moref} vmsnap-block: debug: VixDiskLib: VixDiskLib_PrepareForAccess: moref=" in text
    )
    assert "error: VixDiskLib_PrepareForAccess: Insufficient permissions" in text
    assert SECRET not in text + answer.message


def test_the_parent_dies(lab: Lab, vm: Vm) -> None:
    code = (
        "import json, os, sys\n"
        "from bareos_vmsnap import dataclass_json\n"
        "from bareos_vmsnap.relocation_block.client import BlockProcess\n"
        "from bareos_vmsnap.relocation_block.plan import BlockPlan\n"
        "block = BlockProcess(dataclass_json.decode(BlockPlan, json.loads(sys.stdin.read())))\n"
        "print(block.wait().outcome, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(dataclass_json.encode(BlockPlan(vm.disk(), lock=f"{vm.log}.lock"))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("blocked\n", -signal.SIGKILL), done.stderr
    wait_until(lambda: vm.blocked_for == [])
    wait_until(lambda: gone(holder(lab)))
    assert not Path(lab.vddk.processes[-1].environment["TMPDIR"]).exists()


def test_a_terminated_process_cleans_up(lab: Lab, vm: Vm) -> None:
    block = vm.block()
    assert block.wait().blocked
    os.kill(holder(lab), signal.SIGINT)
    time.sleep(0.2)
    assert vm.blocked_for
    os.kill(holder(lab), signal.SIGTERM)
    wait_until(lambda: vm.blocked_for == [])
    assert block.release() == ""


def test_a_killed_process_is_reported_and_the_next_cleans_up(lab: Lab, vm: Vm) -> None:
    block = vm.block()
    assert block.wait().blocked
    os.kill(holder(lab), signal.SIGKILL)
    assert block.release() == "its process ended early (killed by SIGKILL)"
    assert vm.blocked_for
    following = vm.block()
    assert following.wait() == Answer(REPLACED)
    assert following.release() == ""
    assert vm.blocked_for == []


@pytest.mark.parametrize("tells", [True, False])
def test_what_others_hold_stays(lab: Lab, vm: Vm, tells: bool) -> None:
    """If VDDK does not say why it fails, what vCenter says of the VM does."""
    lab.vddk.habits.tells_already_disabled = tells
    vm.blocked_for.append("others")
    block = vm.block(disabled=not tells)
    assert block.wait() == Answer(OTHERS)
    assert block.release() == ""
    assert vm.blocked_for == ["others"]


def test_another_failure_is_reported_though_others_hold_it(lab: Lab, vm: Vm) -> None:
    vm.blocked_for.append("others")
    block = vm.block(disabled=True, server="192.0.2.1")
    assert block.wait().outcome == FAILED
    block.release()


def test_an_earlier_process_is_waited_for(lab: Lab, vm: Vm) -> None:
    """Its EndAccess, were it the later one, would end what the next has begun."""
    lab.vddk.habits.end_delay = 1
    first = vm.block()
    assert first.wait().blocked
    thread = threading.Thread(target=first.release)
    thread.start()
    second = vm.block()
    assert second.wait() == Answer(BLOCKED)
    thread.join()
    assert vm.blocked_for
    second.release()
    names = [call.name for call in lab.vddk.calls if call.name != "InitEx"]
    assert names == ["PrepareForAccess", "EndAccess"] * 2


def test_another_job_has_the_vm(lab: Lab, vm: Vm) -> None:
    """What is given up while it waits for that job ends nothing of it."""
    first = vm.block()
    assert first.wait().blocked
    second = vm.block()
    assert second.wait(1).outcome == FAILED
    assert second.release() == ""
    assert vm.blocked_for
    assert lab.vddk.named("EndAccess") == []
    assert first.release() == ""


@pytest.mark.parametrize("canceled", [True, False])
def test_a_call_that_hangs_is_given_up(lab: Lab, vm: Vm, canceled: bool) -> None:
    lab.vddk.habits.prepare_delay = 6
    block = vm.block()
    wait_until(lambda: bool(lab.vddk.named("PrepareForAccess")))
    begun = time.monotonic()
    answer = block.wait(1, canceled=lambda: canceled)
    assert answer == (
        Answer(CANCELED)
        if canceled
        else Answer(FAILED, "VDDK gave no answer in 1 s", id="vddk-late")
    )
    assert time.monotonic() - begun < 5, "it waited for the call"
    assert block.release() == "", "it ends what came through late"
    assert [call.name for call in lab.vddk.calls][-1] == "EndAccess"
    assert vm.blocked_for == []


def test_a_call_that_hangs_for_ever(lab: Lab, vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bareos_vmsnap.relocation_block.client._GIVEN_UP_TIMEOUT", 0.5)
    lab.vddk.habits.prepare_delay = 30
    block = vm.block()
    wait_until(lambda: bool(lab.vddk.named("PrepareForAccess")))
    assert block.wait(0).outcome == FAILED
    begun = time.monotonic()
    assert block.release() == "VDDK did not return"
    assert time.monotonic() - begun < 25, "it waited for the call"
    assert gone(holder(lab))


def test_an_end_that_hangs(lab: Lab, vm: Vm) -> None:
    block = vm.block()
    assert block.wait().blocked
    lab.vddk.habits.end_delay = 30
    begun = time.monotonic()
    assert block.release(1) != ""
    assert time.monotonic() - begun < 25, "it waited for the call"
    assert gone(holder(lab))


def test_a_library_is_looked_at(lab: Lab, vm: Vm, tmp_path: Path) -> None:
    probe = vm.block(probe=True)
    assert (probe.wait(), probe.release()) == (Answer(BLOCKED), "")
    assert lab.vddk.calls == []
    with Lab(tmp_path / "without") as other:
        other.vddk.leave_access_out()
        for wanted in (True, False):
            block = vm.block(probe=wanted, libdir=str(other.vddk.libdir))
            assert (block.wait(), block.release()) == (Answer(MISSING), "")


def test_libraries_that_python_uses_are_not_vddks(lab: Lab, vm: Vm, tmp_path: Path) -> None:
    """VDDK comes with others of the same names; Python would not even start with such as these."""
    libdir = tmp_path / "vddk"
    shutil.copytree(lab.vddk.libdir, libdir, symlinks=True)
    for name in ("libz.so.1", "libexpat.so.1", "libffi.so.8", "liblzma.so.5", "libcrypto.so.3"):
        (libdir / "lib64" / name).write_text("no library")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libdir / "lib64")}
    command = [sys.executable, "-c", "import ctypes, zlib"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode
    block = vm.block(libdir=str(libdir))
    assert block.wait() == Answer(BLOCKED)
    assert block.release() == ""


def test_a_library_that_cannot_be_loaded(vm: Vm, tmp_path: Path) -> None:
    (tmp_path / "libvixDiskLib.so.8").write_text("no library")
    block = vm.block(libdir=str(tmp_path))
    answer = block.wait()
    block.release()
    assert answer.outcome == FAILED
    assert f"VMware's VDDK in {tmp_path} cannot be used: " in answer.message
    with pytest.raises(TransportError, match="is not in /nowhere"):
        vm.block(libdir="/nowhere")


def test_a_wrong_configuration_file(vm: Vm) -> None:
    block = vm.block(settings="vixDiskLib.nfcAio.Session.BufCount=none\n")
    answer = block.wait()
    block.release()
    assert answer.outcome == FAILED
    assert (
        "cannot be used: VixDiskLib_InitEx: One of the parameters was invalid (3)" in answer.message
    )
    assert "BufCount has the invalid value none" in vm.log.read_text()


def test_what_the_system_refused_is_answered_in_words_for_an_admin(vm: Vm, tmp_path: Path) -> None:
    """The lock's folder is a file."""
    (tmp_path / "file").touch()
    plan = BlockPlan(vm.disk(), False, str(tmp_path / "file" / "lock"))
    answer = BlockProcess(plan).wait()
    assert (answer.outcome, answer.id) == (FAILED, "path-unfit")
    assert answer.message.startswith(f"Not a directory: {tmp_path}/file/lock. What to do: ")
    assert not answer.message.endswith(".")
