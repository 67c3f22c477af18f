# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One backup or restore for `perf record` to look at: python -m tests.bench.profiled IMAGE SIZE ''"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.bench import servers, subjects


def main(file: str, size: int, target: str) -> None:
    """Print this process' id, whose own samples are of no interest, and run the subject.

    `target`: a file of that size to restore to; empty for a backup.
    """
    print(os.getpid(), flush=True)
    if target:
        with servers.nbdkit("file", target) as server:
            subjects.restore(server, size, Path(file))
    else:
        with servers.nbdkit("-r", "file", file) as server:
            subjects.back_up(server, size)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
