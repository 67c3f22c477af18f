# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The simulated vCenter as a process of its own.

Prints one line of JSON that says how to reach it, and runs until SIGTERM or SIGINT. The
inventory lives as long as the process; disks stay in the directory.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from bareos_vmsnap.lab.lab import USERS, Lab
from bareos_vmsnap.lab.vddk import plugin


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = _parser().parse_args(arguments)
    datastores = options.datastore or ["datastore1", "datastore2"]
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: ended.set())
    with Lab(
        options.directory, datastores=datastores, flavour=options.flavour, port=options.port
    ) as lab:
        described = _describe(lab, options.directory)
        if options.vddk:
            described.update(libdir=str(lab.vddk.libdir), nbdkit_plugin=plugin.find())
        print(json.dumps(described), flush=True)
        ended.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bareos_vmsnap.lab.vcenter", description=__doc__
    )
    parser.add_argument("--directory", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--flavour", choices=sorted(USERS), default="vcenter")
    parser.add_argument(
        "--datastore", action="append", help="name of a datastore; may be given several times"
    )
    parser.add_argument(
        "--vddk", action="store_true", help="serve nbdkit's vddk plugin too; see docs/lab.md"
    )
    return parser


def _describe(lab: Lab, directory: Path) -> dict[str, object]:
    """How to reach the lab; the password itself is in a file only its owner can read."""
    password_file = directory.absolute() / "password"
    password_file.unlink(missing_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(lab.password + "\n")
    return {
        "host": lab.host,
        "port": lab.port,
        "ca_file": str(lab.ca_file),
        "thumbprint": lab.thumbprint,
        "user": lab.user,
        "password_file": str(password_file),
        "nbd_uri": lab.nbd_uri,
        "nbd_single_link_uri": lab.nbd_single_link_uri,
    }


if __name__ == "__main__":
    raise SystemExit(main())
