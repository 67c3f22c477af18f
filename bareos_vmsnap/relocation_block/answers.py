# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the process tells the one that started it (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass

MODULE = "bareos_vmsnap.relocation_block"

BLOCKED = "blocked"  # vCenter refuses to migrate the VM, until we say otherwise
REPLACED = "replaced"  # the same; a dead job had said so, too
OTHERS = "others"  # vCenter refuses already, on behalf of somebody else
MISSING = "missing"  # this VDDK has no such calls
FAILED = "failed"
CANCELED = "canceled"


def identity(vm: str) -> str:
    """What vCenter keeps as the one who does not want that VM migrated; VMware allows 50 characters.

    It is the same for all jobs of a VM, so that one can end what a dead one left.
    """
    return f"bareos-vmsnap {vm}"


@dataclass(frozen=True)
class Answer:
    """One of the words above; for FAILED what went wrong, for OTHERS what is known of them.

    FAILED has the id of its message, too. `over`: it is about the end, not about how it began.
    """

    word: str
    message: str = ""
    id: str = ""
    over: bool = False

    @property
    def blocked(self) -> bool:
        """Whether it is on our behalf that the VM is not migrated."""
        return self.word in (BLOCKED, REPLACED)
