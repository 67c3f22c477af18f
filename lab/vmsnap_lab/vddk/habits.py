# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The habits a vSphere may have towards VDDK, as switches that can be turned while it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields
from typing import Any, Optional

from vmsnap_lab.vddk import pages
from vmsnap_lab.vddk.vix_errors import VixError

# Those that the library asks the lab for.
_ASKED = ("InitEx", "ConnectEx", "Open", "Close", "PrepareForAccess", "EndAccess")
NANOSECONDS = 1_000_000_000


@dataclass
class _Failure:
    call: str
    error: VixError
    skip: int
    times: int


@dataclass
class VddkHabits:
    """Every field may be changed at any time and holds from the next call on.

    delay: seconds that every read, write, flush and query takes longer. open_delay: the same for
        every Open.
    idle: seconds without a call after which an open disk is lost (the NFC timeout); noticed with
        the next call, until when the disk stays locked.
    largest_request: bytes of a read or write, None: 2 MiB through vCenter, 23 MiB on a host;
        0: no limit.
    most_in_flight: requests of one disk; 0: no limit.
    connections: disks open through vCenter at a time. host_disks: the same on one host.
    host_memory: bytes that the NFC buffers of all open disks on a host may take.
    all_allocated: QueryAllocatedBlocks answers that everything is.
    hidden: the fraction of allocated chunks of 64 KiB that QueryAllocatedBlocks leaves out; which
        ones, `seed` decides. A fault, of which VMware's guide does not speak.
    own_files: it leaves out what is only in files of other folders than the opened disk's, as a
        linked clone's parent is. Nothing public says whether a real one does.
    transports: transports that work here; `file` never does. With "san", writing a VM that has
        snapshots fails; "hotadd" is for those who are a VM of this vCenter themselves.
    late_login: ConnectEx checks nothing; Open fails instead, as it does without transport plugin.
    late_write_refusal: a snapshot's disk can be opened for writing; only writing it fails.
    single_link: whether a disk can be opened without its parents.
    maintenance: the hosts are entering maintenance mode: nothing can be opened, and what is open
        fails.
    prepare_delay, end_delay: seconds that PrepareForAccess and EndAccess take longer.
    one_holder: while one identity keeps a VM from being migrated, others are refused with
        MethodAlreadyDisabled, too; else they hold it as well.
    tells_already_disabled: that refusal names the fault; else it is an "Unknown error".
    """

    delay: float = 0.0
    open_delay: float = 0.0
    idle: Optional[float] = None
    largest_request: Optional[int] = None
    most_in_flight: int = 0
    connections: int = 52
    host_disks: int = 50
    host_memory: int = 48 << 20
    all_allocated: bool = False
    hidden: float = 0.0
    seed: int = 0
    own_files: bool = False
    transports: tuple[str, ...] = ("nbdssl", "nbd")
    late_login: bool = False
    late_write_refusal: bool = False
    single_link: bool = True
    maintenance: bool = False
    prepare_delay: float = 0.0
    end_delay: float = 0.0
    one_holder: bool = True
    tells_already_disabled: bool = True
    default_largest: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: list[_Failure] = []
        self._page: Optional[pages.Switches] = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if getattr(self, "_page", None) is not None:
            self._publish()

    def show_on(self, page: Optional[pages.Switches]) -> None:
        """The page of shared memory with the switches for reading and writing, or None."""
        self._page = page

    def reset(self) -> None:
        """The habits of a new lab, and no future failure."""
        for known in fields(self):
            if known.name != "default_largest":
                setattr(self, known.name, known.default)
        self.forgive()

    def fail(self, call: str, error: VixError, *, nth: int = 1, times: int = 1) -> None:
        """Let the nth call from now on fail with `error`, `times` calls in a row.

        `call` is "InitEx", "ConnectEx", "Open", "Close", "PrepareForAccess", "EndAccess", "Read",
        "Write", "Flush" or "QueryAllocatedBlocks". Each of the last four has one future
        failure at most: the last one.
        """
        if call in pages.FAILURES:
            if self._page is None:
                raise ValueError(f"no library can {call} before the lab's VDDK runs")
            self._page.fail(call, error, nth - 1, times)
        elif call in _ASKED:
            with self._lock:
                self._failures.append(_Failure(call, error, nth - 1, times))
        else:
            raise ValueError(f"there is no call {call}")

    def forgive(self) -> None:
        """Drop all future failures."""
        with self._lock:
            self._failures.clear()
        if self._page is not None:
            self._page.forgive()

    def next_failure(self, call: str) -> VixError:
        """Count one call; the error it meets."""
        with self._lock:
            for failure in list(self._failures):
                if failure.call != call:
                    continue
                if failure.skip > 0:
                    failure.skip -= 1
                    continue
                failure.times -= 1
                if failure.times <= 0:
                    self._failures.remove(failure)
                return failure.error
        return VixError.OK

    def _publish(self) -> None:
        page = self._page
        assert page is not None
        largest = self.largest_request
        page.turn("delay", round(self.delay * NANOSECONDS))
        page.turn("idle", round((self.idle or 0) * NANOSECONDS))
        page.turn("largest_request", self.default_largest if largest is None else largest)
        page.turn("most_in_flight", self.most_in_flight)
        page.turn("all_allocated", int(self.all_allocated))
        page.turn("hidden", round(self.hidden * 2**32))
        page.turn("seed", self.seed)
        page.turn("own_files", int(self.own_files))
        page.turn("error", VixError.HOST_SERVER_SHUTDOWN if self.maintenance else 0)
