# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Who uses which disk files now, so that no file changes while another user has it open.

Operations of the store wait for each other. A door that serves a client keeps its disks until the
client does, so an operation that meets one is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from vmsnap_lab.storage.errors import StorageError

Holder = TypeVar("Holder")

GRACE = 0.25
"""Seconds that a client may take to go."""
_CLOSING = 30.0
"""Seconds that qemu-nbd may take to close a disk when no client is left."""
_STEP = 0.01


@dataclass(frozen=True)
class Use:
    """Canonical paths of disks that are read and of those that are changed."""

    shared: frozenset[str]
    exclusive: frozenset[str]

    @classmethod
    def of(cls, shared: Iterable[str] = (), exclusive: Iterable[str] = ()) -> Use:
        return cls(frozenset(shared), frozenset(exclusive))

    def clash(self, other: Use) -> frozenset[str]:
        """The disks that cannot be used in both ways at once."""
        return self.exclusive & (other.exclusive | other.shared) | self.shared & other.exclusive


class Claims(Generic[Holder]):
    """Uses by operations and by doors.

    `is_leaving`: whether a door has no client any more; a door whose server has ended leaves at
    once.
    """

    def __init__(self, lock: threading.RLock, is_leaving: Callable[[Holder], bool]) -> None:
        self._changed = threading.Condition(lock)
        self._is_leaving = is_leaving
        self._operations: list[Use] = []
        self._doors: dict[Holder, Use] = {}

    @contextmanager
    def operation(self, plan: Callable[[], Use], *, heed_doors: bool = True) -> Iterator[None]:
        """Hold what `plan` returns; it is asked again after every wait, with the lock held.

        Raises what `plan` raises, and StorageError "locked" if a door has a disk open, unless
        doors need not be heeded.
        """
        met = None
        with self._changed:
            while True:
                use = plan()
                door = _first_clash(use, self._doors) if heed_doors else None
                if door is not None:
                    met = met or time.monotonic()
                    patience = _CLOSING if self._is_leaving(door) else GRACE
                    if time.monotonic() - met > patience:
                        raise _locked(use.clash(self._doors[door]))
                    self._changed.wait(_STEP)
                elif any(use.clash(other) for other in self._operations):
                    self._changed.wait()
                else:
                    break
            self._operations.append(use)
        try:
            yield
        finally:
            with self._changed:
                self._operations.remove(use)
                self._changed.notify_all()

    def enter(self, door: Holder, use: Use, patient: bool) -> bool:
        """Hold `use` for a door. False: it must wait for a user who will be done soon.

        Raises StorageError "locked" if another door has a disk open; while `patient`, such a door
        counts as done soon.
        """
        with self._changed:
            other = _first_clash(use, self._doors)
            if other is not None:
                if patient or self._is_leaving(other):
                    return False
                raise _locked(use.clash(self._doors[other]))
            if any(use.clash(operation) for operation in self._operations):
                return False
            self._doors[door] = use
            return True

    def leave(self, door: Holder) -> None:
        with self._changed:
            self._doors.pop(door, None)
            self._changed.notify_all()

    def is_left(self, path: str) -> bool:
        """Whether all clients on it have gone; servers may still be closing it."""
        with self._changed:
            on = [door for door, use in self._doors.items() if path in use.shared | use.exclusive]
            return all(map(self._is_leaving, on))

    def doors_on(self, path: str) -> int:
        with self._changed:
            return sum(path in use.shared | use.exclusive for use in self._doors.values())


def _first_clash(use: Use, held: Mapping[Holder, Use]) -> Holder | None:
    return next((holder for holder, other in held.items() if use.clash(other)), None)


def _locked(paths: Iterable[str]) -> StorageError:
    return StorageError("locked", f"open for a client: {', '.join(sorted(paths))}")
