# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A lab in a process of its own, to be killed.

Arguments: the root folder; then "serve" and a socket, or "at", a number, and what to do. With "at"
the process kills itself just before the step of that number that it does to files or processes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vmsnap_lab.storage import DiskStore, Door

BASE = "[datastore1] vm/vm.vmdk"
LEAF = "[datastore1] vm/leaf.vmdk"
MIDDLE = "[datastore1] vm/middle.vmdk"
STEPS = {"os.rename", "os.remove", "os.link", "os.mkdir", "subprocess.Popen", "open"}


def die_before(step: int, root: Path) -> None:
    passed = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal passed
        reads = event == "open" and (
            not str(arguments[0]).startswith(str(root)) or arguments[1] in ("r", "rb")
        )
        if event in STEPS and not reads:
            passed += 1
            if passed == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def main(root: Path, task: str, *more: str) -> None:
    store = DiskStore(root, ["datastore1", "datastore2"])
    operations: dict[str, Callable[[], object]] = {
        "snapshot": lambda: store.create_delta(LEAF, "[datastore1] vm/new.vmdk"),
        "merge the leaf": lambda: store.merge_into_parent(LEAF),
        "merge in the middle": lambda: store.merge_into_parent(MIDDLE),
        "delete": lambda: store.delete(LEAF),
        "move": lambda: store.move(MIDDLE, "[datastore2] elsewhere/middle.vmdk"),
        "relocate": lambda: store.relocate([BASE, MIDDLE, LEAF], "datastore2"),
        "reset": lambda: store.reset_tracking(LEAF),
    }
    if task == "serve":
        store.open_door(Path(more[0]), lambda: Door(LEAF, writable=True))
        print("ready", flush=True)
        time.sleep(600)
    else:
        die_before(int(more[0]), root)
        operations[more[1]]()
        print("done", flush=True)
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
