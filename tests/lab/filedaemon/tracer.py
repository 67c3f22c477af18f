# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Scripts for the tracer plugin, and what it noted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

PLUGINS = Path(__file__).parent / "plugins"

Item = dict[str, Any]


def regular(name: str, size: int = 1000, **more: Any) -> Item:
    return {"kind": "reg", "name": name, "size": size, **more}


def directory(name: str, **more: Any) -> Item:
    return {"kind": "dir", "name": name, **more}


def link(name: str, target: str) -> Item:
    return {"kind": "lnk", "name": name, "target": target}


def restore_object(name: str, index: int = 1, size: int = 50, **more: Any) -> Item:
    return {"kind": "object", "name": name, "index": index, "size": size, **more}


class Script:
    """The script file of a FileDaemon's tracer jobs; rewritten for each job.

    `plugin` is the plugin string of jobs that follow it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "script.json"
        self._log = folder / "calls"
        self._dump = folder / "dump"
        self.plugin = f"python3:module_name=lab-tracer:script={self._path}"

    def write(self, *items: Item, **more: Any) -> str:
        """The script of the next job; returns the plugin string."""
        self._log.unlink(missing_ok=True)
        self._dump.mkdir(exist_ok=True)
        for old in self._dump.iterdir():
            old.unlink()
        script = {"items": items, "log": str(self._log), "dump": str(self._dump), **more}
        self._path.write_text(json.dumps(script))
        return self.plugin

    def calls(self) -> list[dict[str, Any]]:
        """What the plugin saw: name and arguments of each call."""
        if not self._log.exists():
            return []
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def labels(self) -> list[str]:
        return [call["call"] for call in self.calls()]

    def restored(self) -> list[bytes]:
        """The content of each file restored, in order."""
        files = sorted(self._dump.iterdir(), key=lambda path: int(path.name))
        return [path.read_bytes() for path in files]

    def digests(self) -> list[str]:
        return [hashlib.sha256(content).hexdigest()[:16] for content in self.restored()]


def compact(call: dict[str, Any]) -> str:
    """A call in one line, without what differs from one machine to another."""
    left_out = ("call", "plugindef", "cmd", "jobid")
    shown = [
        f"{name}={value}"
        for name, value in call.items()
        if name not in left_out and value not in (None, 0, "")
    ]
    return " ".join([call["call"], *shown])
