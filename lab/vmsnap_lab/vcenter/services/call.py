# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A call of a SOAP method, for the operation that answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol

from vmsnap_lab.vcenter.managed import Managed
from vmsnap_lab.vcenter.services.session import ApiSession, Caller


class Authorization(Protocol):
    """What a call needs of the AuthorizationManager."""

    def require(
        self, session: Optional[ApiSession], privilege: Optional[str], managed: Managed
    ) -> None: ...


class Tasks(Protocol):
    """What a call needs of the TaskManager."""

    def start(
        self,
        call: Call,
        entity: Optional[Managed],
        work: Callable[[Any], Any],
        *,
        cancelable: bool,
        exclusive: Any,
    ) -> Any: ...


@dataclass
class Call:
    authorization: Authorization
    tasks: Tasks
    session: Optional[ApiSession]  # None before login
    caller: Caller
    method: Any  # pyVmomi's description of the method

    @property
    def user(self) -> str:
        return self.session.user if self.session is not None else ""

    def require(self, privilege: str, managed: Managed) -> None:
        """Raises NoPermission if the caller lacks `privilege` on the object."""
        self.authorization.require(self.session, privilege, managed)

    def start(
        self,
        entity: Optional[Managed],
        work: Callable[[Any], Any],
        *,
        cancelable: bool = False,
        exclusive: Any = None,
    ) -> Any:
        """Run `work` as a task of this call's method; see `TaskManager.start`."""
        return self.tasks.start(self, entity, work, cancelable=cancelable, exclusive=exclusive)
