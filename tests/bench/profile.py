# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Where the time of a backup and of a restore goes, by `perf record`: a table and flame graphs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import flame, servers
from tests.bench.bench import Bench

OPERATIONS = ("backup", "restore")
_FREQUENCY = 499  # samples a second and processor
_PROCESSES = {"python": "mover", "vmsnap-mover": "mover", "nbdkit": "server", "dd": "reader"}
_CHANNEL = "channel to Bareos"
# What a sample is counted as: the first whose pattern is found in it, "symbol (object)" a line.
_KINDS = (
    ("lz4", r"liblz4|_LZ4|lz4/"),
    ("checksums", r"xxhash"),
    ("page faults", r"\b(asm_)?exc_page_fault"),
    (_CHANNEL, r"\bsock_(read|write)_iter"),
    ("sockets: NBD", r"\bunix_stream|\bsock_|__sys_send|__sys_recv"),
    ("file: page cache", r"filemap_|ext4_|shmem_|btrfs_|xfs_"),
    ("waiting and waking", r"futex|__schedule|\bschedule|poll_|do_epoll|finish_task_switch"),
    ("memory copies and comparisons", r"__mem(cmp|cpy|move|set)\w* "),
    ("Python", r"python3|\.cpython-|libpython"),
    ("libnbd", r"libnbd"),
)

Stack = tuple[str, ...]  # outermost frame first, "symbol (object)"


class CannotProfile(Exception):
    """The message says what is missing."""


def take(bench: Bench, folder: Path) -> str:
    """Profile both directions; write a flame graph for each into `folder`, return the tables.

    Raises CannotProfile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = []
    for operation in OPERATIONS:
        if operation == "backup":
            stacks = _record(bench, operation, bench.warm_mix(bench.size))
        else:
            # Who finds memory for a new file is the kernel, and in a virtual machine its host.
            with servers.used_file(bench.memory, bench.size) as target:
                stacks = _record(bench, operation, bench.segment(bench.size), target)
        picture = folder / f"{operation}.svg"
        picture.write_text(flame.svg(stacks, f"{operation}: CPU of mover, server and reader"))
        tables.append(f"{operation} ({picture})\n{_table(stacks)}")
    return "\n\n".join(tables)


def _record(bench: Bench, operation: str, file: Path, target: object = "") -> Counter[Stack]:
    data = bench.scratch / f"{operation}.perf"
    subject = [sys.executable, "-m", "tests.bench.profiled"]
    command = ["perf", "record", "-q", "-g", "-F", str(_FREQUENCY), "-o", str(data), "--", *subject]
    output = _run([*command, str(file), str(bench.size), str(target)])
    script = _run(["perf", "script", "-i", str(data), "-F", "comm,pid,ip,sym,dso"])
    return Counter(_samples(script, int(output.split()[0])))


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotProfile("perf is not installed (Debian: linux-perf)") from error
    if done.returncode:
        raise CannotProfile(f"{' '.join(command[:2])} failed: {done.stderr.strip()}")
    return done.stdout


def _samples(script: str, without: int) -> Iterator[Stack]:
    """The stacks of mover, server and reader, whose name is the first frame."""
    for block in script.split("\n\n"):
        head, *lines = block.strip("\n").split("\n")
        match = re.match(r"\s*(\S.*?)\s+(\d+)", head)
        if not match or int(match[2]) == without or match[1] not in _PROCESSES:
            continue
        frames = [re.sub(r"^\s*[0-9a-f]+ ", "", line) for line in reversed(lines)]
        yield (_PROCESSES[match[1]], *_certain(frames))


def _certain(frames: Sequence[str]) -> list[str]:
    """The kernel's frames and, below them, the one that called it and the object it is in.

    Libraries are built without frame pointers: what perf takes for their callers is chance.
    """
    users = [frame for frame in frames if "[kernel" not in frame]
    shown = users[-1:] + [frame for frame in frames if "[kernel" in frame]
    shown = [re.sub(r"\((?:.*/)?([^/()]+)\)$", r"(\1)", frame) for frame in shown]
    return [shown[0].rpartition("(")[2].rstrip(")"), *shown] if shown else []


def _table(stacks: Counter[Stack]) -> str:
    total = sum(stacks.values())
    found: Counter[tuple[str, str]] = Counter()
    for stack, count in stacks.items():
        text = "\n".join(f"{frame} " for frame in stack[2:])
        # nbdkit reads and writes its sockets as others do the channel.
        kinds = _KINDS if stack[0] != "server" else [k for k in _KINDS if k[0] != _CHANNEL]
        kind = next((kind for kind, pattern in kinds if re.search(pattern, text)), "other")
        found[stack[0], kind] += count
    lines = [
        f"  {count / total:6.1%}  {process:7} {kind}"
        for (process, kind), count in found.most_common()
        if count >= total / 200
    ]
    sums: Counter[str] = Counter()
    for stack, count in stacks.items():
        sums[stack[0]] += count
    whole = ", ".join(f"{process} {count / total:.0%}" for process, count in sums.most_common())
    return "\n".join([f"  {total / _FREQUENCY:.1f} CPU seconds: {whole}", *lines])
