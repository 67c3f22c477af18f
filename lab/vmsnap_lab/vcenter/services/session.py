# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A client's session, and what the server knows of the client."""

from __future__ import annotations

import datetime
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter.managed import Managed

LOCALE = "en_US"


@dataclass
class Caller:
    """Where a request comes from."""

    address: str
    user_agent: str


class ApiSession:
    """A logged in client. What it made for itself (filters, views) ends with it."""

    def __init__(self, user: str, caller: Caller, now: datetime.datetime) -> None:
        self.key = str(uuid.uuid4())
        self.cookie = secrets.token_hex(20)
        self.user = user
        self.caller = caller
        self.login_time = now
        self.last_active = now
        self.calls = 0
        self.owned: list[Managed] = []

    def describe(self) -> Any:
        return vim.UserSession(
            key=self.key,
            userName=self.user,
            fullName=self.user.rpartition("\\")[2],
            loginTime=self.login_time,
            lastActiveTime=self.last_active,
            locale=LOCALE,
            messageLocale=LOCALE,
            extensionSession=False,
            ipAddress=self.caller.address,
            userAgent=self.caller.user_agent,
            callCount=self.calls,
        )
