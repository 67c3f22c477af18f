# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One backup or restore for `perf record` to look at: python -m tests.bench.profiled backup IMAGE"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.bench import servers, subjects


def main(way: str, file: str, size: int, folder: str) -> None:
    """Print this process' id, whose own samples are of no interest, and run the subject."""
    print(os.getpid(), flush=True)
    if way == "backup":
        with servers.nbdkit("-r", "file", file) as source:
            subjects.back_up(source, size)
    else:
        with servers.fresh_file(Path(folder), size) as (target, _):
            subjects.restore(target, size, Path(file))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
