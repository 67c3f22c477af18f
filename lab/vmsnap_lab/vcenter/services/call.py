# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One call on its way through the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional

from vmsnap_lab.vcenter.managed import Managed

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.services.sessions import Session
    from vmsnap_lab.vcenter.services.tasks import Task
    from vmsnap_lab.vcenter.vcenter import VCenter
    from vmsnap_lab.vcenter.vm.machine import VirtualMachine


@dataclass
class Caller:
    """Where a request comes from."""

    address: str
    user_agent: str


@dataclass
class Call:
    vcenter: VCenter
    session: Optional[Session]  # None before login
    caller: Caller
    method: Any  # pyVmomi's description of the method

    @property
    def user(self) -> str:
        return self.session.user if self.session is not None else ""

    def require(self, privilege: str, managed: Managed) -> None:
        """Raises NoPermission where the caller lacks `privilege` on the object."""
        self.vcenter.authorization.require(self.session, privilege, managed)

    def start(
        self,
        entity: Optional[Managed],
        work: Callable[[Task], Any],
        *,
        cancelable: bool = False,
        exclusive: Optional[VirtualMachine] = None,
    ) -> Task:
        """Run `work` as a task of this call's method; see `TaskManager.start`."""
        return self.vcenter.tasks.start(
            self, entity, work, cancelable=cancelable, exclusive=exclusive
        )
