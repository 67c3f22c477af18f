# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The answers of the process to the one that started it (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

MODULE = "bareos_vmsnap.relocation_block"

Outcome = Literal["blocked", "replaced", "others", "missing", "failed", "canceled"]
BLOCKED: Final = "blocked"  # vCenter refuses to migrate the VM until we allow it
REPLACED: Final = "replaced"  # the same, and it ended the block of a dead job
OTHERS: Final = "others"  # vCenter already refuses because of somebody else
MISSING: Final = "missing"  # this VDDK has no such calls
FAILED: Final = "failed"
CANCELED: Final = "canceled"


def identity(vm: str) -> str:
    """The name under which vCenter keeps our block of this VM; VMware allows 50 characters.

    It is the same for all jobs of a VM, so that one can end the block that a dead one left.
    """
    return f"bareos-vmsnap {vm}"


@dataclass(frozen=True)
class Answer:
    """An outcome; `message` has the problem for FAILED, what is known for OTHERS.

    FAILED also has the message's id. `over`: it is about the end, not the beginning.
    """

    outcome: Outcome
    message: str = ""
    id: str = ""
    over: bool = False

    @property
    def blocked(self) -> bool:
        """Whether it is because of us that the VM is not migrated."""
        return self.outcome in (BLOCKED, REPLACED)
