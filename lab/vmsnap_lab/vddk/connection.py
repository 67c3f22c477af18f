# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One connection of the library: from ConnectEx to Disconnect, with the disks opened on it, or a
single call that needs none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional, Union

from vmsnap_lab.vcenter.vcenter import VCenter
from vmsnap_lab.vddk import access, disks, library_messages, login, transports
from vmsnap_lab.vddk.calls import LibraryCall, Process, describe_process, without_secrets
from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.library_messages import LibraryRequest
from vmsnap_lab.vddk.open_disks import OpenDisk, OpenDisks
from vmsnap_lab.vddk.vix_errors import VixError, VixFailure

Fields = list[tuple[str, Union[str, int]]]


@dataclass
class LibraryState:
    """What all connections share. Each field but the first two is Vddk's of the same name."""

    vcenter: VCenter
    address: login.Address
    habits: VddkHabits
    disks: OpenDisks
    numbers: Iterator[int]
    calls: list[LibraryCall] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    plain_files: dict[str, Path] = field(default_factory=dict)


class LibraryConnection:
    """Answers the requests that come over one socket."""

    def __init__(self, library: LibraryState, process: int) -> None:
        self._library = library
        self._process = process
        self._number: Optional[int] = None
        self._request: Optional[LibraryRequest] = None  # ConnectEx's, if that was not checked yet
        self._login: Optional[login.Login] = None
        self._thumbprint: Optional[str] = None
        self._modes: tuple[str, ...] = ()
        self._buffers = 0
        self._disks: dict[int, OpenDisk] = {}

    def answer(self, line: str) -> bytes:
        request = library_messages.parse(line)
        call = LibraryCall(request.name, without_secrets(request), self._number, self._process)
        if request.name != "Refused":
            self._library.calls.append(call)
        answers: dict[str, Callable[[LibraryRequest, LibraryCall], Fields]] = {
            "InitEx": self._initialise,
            "ConnectEx": self._connect,
            "Open": self._open,
            "Refused": self._explain_refusal,
            "Close": self._close,
            "Disconnect": self._disconnect,
            "PrepareForAccess": self._prepare,
            "EndAccess": self._end,
        }
        fields: Fields = []
        try:
            error = self._library.habits.next_failure(request.name)
            if error is not VixError.OK and request.name != "Close":
                raise VixFailure(error)
            fields = answers[request.name](request, call)
            if error is not VixError.OK:
                raise VixFailure(error)
        except VixFailure as failure:
            call.error = failure.error
            return library_messages.answer(failure.error, (), failure.warnings)
        call.error = VixError.OK
        call.connection = self._number
        return library_messages.answer(VixError.OK, fields)

    def abandon(self) -> None:
        """The socket has ended: so has all that was open."""
        for disk in list(self._disks.values()):
            call = LibraryCall("Lost", {"disk": str(disk.number)}, self._number, self._process)
            self._shut(disk, call)
            call.error = VixError.HOST_TCP_CONN_LOST
            self._library.calls.append(call)

    def _initialise(self, request: LibraryRequest, call: LibraryCall) -> Fields:
        self._library.processes.append(describe_process(self._process))
        return []

    def _prepare(self, request: LibraryRequest, call: LibraryCall) -> Fields:
        time.sleep(self._library.habits.prepare_delay)
        with self._library.vcenter.lock:
            access.prepare(
                self._library.vcenter, self._library.address, request, self._library.habits
            )
        return []

    def _end(self, request: LibraryRequest, call: LibraryCall) -> Fields:
        time.sleep(self._library.habits.end_delay)
        with self._library.vcenter.lock:
            access.end(self._library.vcenter, self._library.address, request)
        return []

    def _connect(self, request: LibraryRequest, call: LibraryCall) -> Fields:
        self._modes = transports.requested(request.fields.get("transports"))
        self._thumbprint = request.fields.get("thumbprint")
        self._buffers = request.number("buffers")
        if self._library.habits.late_login:
            self._request = request
        else:
            with self._library.vcenter.lock:
                self._login = login.check(self._library.vcenter, self._library.address, request)
        self._number = next(self._library.numbers)
        return []

    def _open(self, request: LibraryRequest, call: LibraryCall) -> Fields:
        library, habits = self._library, self._library.habits
        time.sleep(habits.open_delay)
        login.check_thumbprint(library.address, self._thumbprint)
        with self._library.vcenter.lock:
            if self._login is None:
                assert self._request is not None
                self._login = login.check(
                    self._library.vcenter, self._library.address, self._request
                )
            if habits.maintenance:
                raise VixFailure(VixError.HOST_SERVER_SHUTDOWN)
            flags = request.number("flags")
            target = disks.find(self._login, request.fields["path"], flags, habits)
            vm = self._login.vm
            writes_snapshots = target.door.writable and bool(vm.tree.roots)
            transport = transports.choose(
                self._modes, habits.transports, writes_snapshots=writes_snapshots
            )
            over_network = transport.startswith("nbd")
            disk = library.disks.open(
                self._process,
                target.door,
                transport,
                vm.host,
                self._buffers if over_network else None,
            )
        if target.late_refusal:
            disk.ledger.refuse_writes(VixError.FILE_ACCESS_ERROR)
        self._disks[disk.number] = disk
        fields: Fields = [
            ("disk", disk.number),
            ("socket", disk.socket),
            ("ledger", str(disk.ledger.path)),
            ("transport", transport),
            ("links", target.links),
            ("own_links", target.own_links),
            ("uuid", target.uuid),
        ]
        if disk.path in library.plain_files:
            fields.append(("file", str(library.plain_files[disk.path])))
        return fields if target.parent is None else [*fields, ("parent", target.parent)]

    def _explain_refusal(self, request: LibraryRequest, call: LibraryCall) -> Fields:
        """The storage has turned the library away, so Open fails after all."""
        disk = self._disks[request.number("disk")]
        refusal = self._library.disks.refusal(disk)
        self._shut(disk, call)
        opening = next(
            known
            for known in reversed(self._library.calls)
            if known.name == "Open" and known.connection == self._number
        )
        locked = refusal is not None and refusal.kind == "locked"
        opening.error = VixError.FILE_ALREADY_LOCKED if locked else VixError.FILE_ERROR
        reason = "Failed to lock the file" if locked else "the server has gone"
        detail = f": {refusal.message}" if refusal is not None else ""
        raise VixFailure(
            opening.error,
            "[NFC ERROR] NfcFssrvrProcessErrorMsg: received NFC error 5 from server: Failed to "
            f"open '{disk.path}': {reason}{detail}",
        )

    def _close(self, request: LibraryRequest, call: LibraryCall) -> Fields:
        self._shut(self._disks[request.number("disk")], call)
        return []

    def _disconnect(self, request: LibraryRequest, call: LibraryCall) -> Fields:
        for disk in list(self._disks.values()):
            self._shut(disk, call)
        return []

    def _shut(self, disk: OpenDisk, call: LibraryCall) -> None:
        del self._disks[disk.number]
        call.counts = disk.ledger.counts()
        self._library.disks.close(disk)
