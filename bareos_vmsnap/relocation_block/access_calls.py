# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""PrepareForAccess and EndAccess for one VM.

vCenter keeps RelocateVM_Task disabled under an identity until EndAccess with that identity, whether
its caller lives or not. So a job ends the block that a dead one left; others' blocks stay.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from bareos_vmsnap.relocation_block import diagnosis
from bareos_vmsnap.relocation_block.answers import (
    BLOCKED,
    FAILED,
    MISSING,
    OTHERS,
    REPLACED,
    Answer,
    identity,
)
from bareos_vmsnap.relocation_block.disklib import OK, DiskLib, VddkLoadError
from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.transport.vddk import command
from bareos_vmsnap.transport.vddk.library import Library

PREPARE, END = "PrepareForAccess", "EndAccess"
# The connection may be lost just then, and a block that is not ended stays.
_ENDS, _PAUSE = 3, 2.0  # attempts, seconds between them


class AccessCalls:
    """Calls the library. Its messages go to standard error, only warnings unless `disk.debug`."""

    def __init__(self, disk: VddkDisk, library: Library, directory: str) -> None:
        """`directory` is for VDDK's files."""
        self._disk = disk
        self._library = library
        self._directory = directory
        self._identity = identity(disk.vm)
        self._messages: list[str] = []
        self._lock = threading.Lock()
        self._started = False

    def load(self) -> Answer:
        """Load the library: BLOCKED if it has the calls, else MISSING. Raises VddkLoadError."""
        self._lib = DiskLib(self._library.path, self._log_line)
        return Answer(BLOCKED if self._lib.has_access else MISSING)

    def prepare(self, *, disabled: bool) -> Answer:
        """Disable migrating the VM. `disabled`: vCenter reports that it is already.

        That helps if VDDK fails without a reason.
        """
        try:
            if self.load().outcome == MISSING:
                return Answer(MISSING)
            path = os.path.join(self._directory, "vddk.conf")
            with open(path, "w", encoding="utf-8") as config:
                config.write(command.config(self._disk, self._directory))
            self._lib.start(self._library.libdir, path)
        except VddkLoadError as error:
            return Answer(
                FAILED,
                f"VMware's VDDK in {self._library.libdir} cannot be used: {error.what}",
                id=error.id,
            )
        self._started = True
        self._params = self._lib.params(self._disk)
        first = self._prepare_once(disabled)
        if first.outcome != OTHERS:
            return first
        # Is it ours, of a job that died? Then it can be ended; somebody else's stays.
        self._call(END)
        again = self._prepare_once(disabled)
        return Answer(REPLACED) if again.outcome == BLOCKED else again

    def end(self) -> Answer:
        """Enable migrating the VM again; FAILED if that was impossible."""
        for attempt in range(_ENDS):
            if attempt:
                time.sleep(_PAUSE)
            if self._call(END):
                return Answer(BLOCKED)
        return self._failed(END)

    def close(self) -> None:
        """End the use of the library. No disk was opened, so there is nothing to clean up."""
        if self._started:
            self._lib.exit()

    def _prepare_once(self, disabled: bool) -> Answer:
        if self._call(PREPARE):
            return Answer(BLOCKED)
        with self._lock:
            messages = list(self._messages)
        if diagnosis.already_disabled(messages):
            return Answer(OTHERS)
        if disabled and diagnosis.explain(messages, self._disk) is None:
            return Answer(OTHERS)
        return self._failed(PREPARE)

    def _call(self, name: str) -> bool:
        with self._lock:
            self._messages.clear()
        error = self._lib.access(name, self._params, self._identity)
        if error != OK:
            self._log_line(f"VixDiskLib_{name}: {self._lib.error_text(error)}", True)
        return error == OK

    def _failed(self, name: str) -> Answer:
        """Why the last call failed."""
        with self._lock:
            messages = list(self._messages)
        known = diagnosis.explain(messages, self._disk)
        if known is not None:
            return Answer(FAILED, known.text, id=known.id)
        message = messages[-1] if messages else f"{name} failed"
        return Answer(FAILED, message, id="relocation-call-failed")

    def _log_line(self, line: str, grave: bool) -> None:
        with self._lock:
            self._messages.append(line)
        if grave or self._disk.debug:
            os.write(sys.stderr.fileno(), f"{'error' if grave else 'debug'}: {line}\n".encode())
