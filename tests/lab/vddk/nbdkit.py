# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""nbdkit with its vddk plugin on the lab's library, and what it said."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import nbd

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import plugin

PLUGIN = plugin.find()


class Nbdkit:
    """A process that serves one disk. Parameters of the plugin are given by name, `_` for `-`."""

    def __init__(
        self,
        lab: Lab,
        folder: Path,
        *,
        readonly: bool,
        password: str,
        filters: Sequence[str] = (),
        **parameters: Any,
    ) -> None:
        assert PLUGIN is not None
        self._lab = lab
        self.socket = folder / "nbdkit.sock"
        self._log, ready = folder / "nbdkit.log", folder / "pid"
        reader, writer = os.pipe()
        os.write(writer, password.encode())
        os.close(writer)
        values = {
            "libdir": lab.vddk.libdir,
            "server": lab.host,
            "port": lab.port,
            "user": lab.user,
            "thumbprint": lab.thumbprint,
            **parameters,
        }
        command = [
            *("nbdkit", "-f", "--exit-with-parent", "-U", str(self.socket), "-P", str(ready)),
            *(["-r"] if readonly else []),
            *(f"--filter={name}" for name in filters),
            *(PLUGIN, f"password=-{reader}"),
            *(f"{k.replace('_', '-')}={v}" for k, v in values.items() if v is not None),
        ]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=log, pass_fds=[reader])
        os.close(reader)
        while not ready.exists() and self.process.poll() is None:
            time.sleep(0.005)

    def said(self) -> str:
        return self._log.read_text()

    @contextlib.contextmanager
    def connected(self) -> Iterator[nbd.NBD]:
        """Raises nbd.Error if the disk cannot be opened."""
        handle = nbd.NBD()
        handle.add_meta_context("base:allocation")
        handle.connect_unix(str(self.socket))
        try:
            yield handle
        finally:
            with contextlib.suppress(nbd.Error):  # the test may have killed the server
                handle.shutdown()

    def wait_until_closed(self) -> None:
        """Until its disks are, after the clients have gone; raises TimeoutError."""
        deadline = time.monotonic() + 60
        while any(disk.process == self.process.pid for disk in self._lab.vddk.open_disks):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the disk is still open: {self.said()}")
            time.sleep(0.002)

    def stop(self) -> None:
        """End it in order: terminated any earlier, it would leave out VixDiskLib_Close."""
        self.wait_until_closed()
        self.process.terminate()
        self.process.wait(60)
        self.socket.unlink(missing_ok=True)


class Site:
    """A lab with a VM, and access to its disks."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self._folder = folder
        self._started: list[Nbdkit] = []

    def start(
        self,
        guest: Guest,
        state: Optional[str] = None,
        /,
        *,
        readonly: bool = True,
        password: Optional[str] = None,
        **parameters: Any,
    ) -> Nbdkit:
        """nbdkit for a guest's first disk, of now or of the snapshot of that name."""
        folder = self._folder / str(len(self._started))
        folder.mkdir()
        values = {
            "vm": f"moref={guest.moref}",
            "snapshot": moref(guest, state),
            "file": guest.path(2000, state),
            **parameters,
        }
        made = Nbdkit(
            self.lab,
            folder,
            readonly=readonly,
            password=self.lab.password if password is None else password,
            **values,
        )
        self._started.append(made)
        return made

    @contextlib.contextmanager
    def opened(self, *arguments: Any, **parameters: Any) -> Iterator[nbd.NBD]:
        """A connection to the disk; nbdkit ends with it."""
        server = self.start(*arguments, **parameters)
        try:
            with server.connected() as handle:
                yield handle
        finally:
            server.stop()

    def refusal(self, *arguments: Any, **parameters: Any) -> str:
        """What nbdkit says when the disk cannot be opened."""
        server = self.start(*arguments, **parameters)
        try:
            with server.connected():
                pass
        except nbd.Error:
            return server.said()
        finally:
            server.stop()
        raise AssertionError(f"the disk was opened: {server.said()}")

    def close(self) -> None:
        for server in self._started:
            if server.process.poll() is None:
                server.stop()


def moref(guest: Guest, state: Optional[str]) -> Optional[str]:
    """The id of a snapshot, by its name."""
    if state is None:
        return None
    return next(s.moid for s in guest.vm.tree.all() if s.name == state)


def extents(handle: nbd.NBD, start: int = 0, length: Optional[int] = None) -> list[list[int]]:
    """Start, length and flags of extents in bytes, asked for 1 GiB at a time, neighbours joined."""
    end = handle.get_size() if length is None else start + length
    found: list[list[int]] = []
    while start < end:
        entries: list[int] = []
        handle.block_status(
            min(end - start, 1 << 30), start, lambda *result, into=entries: into.extend(result[2])
        )
        for size, flags in zip(entries[::2], entries[1::2]):
            if found and found[-1][2] == flags:
                found[-1][1] += size
            else:
                found.append([start, size, flags])
            start += size
    return found
