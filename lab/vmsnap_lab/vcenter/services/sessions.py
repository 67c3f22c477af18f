# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Sessions: login, logout, expiry."""

from __future__ import annotations

import contextlib
import contextvars
import hmac
import secrets
from collections.abc import Iterator
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.events import EventManager
from vmsnap_lab.vcenter.services.session import LOCALE, ApiSession
from vmsnap_lab.vcenter.world import World

_serving: contextvars.ContextVar[Optional[ApiSession]] = contextvars.ContextVar(
    "session", default=None
)


class SessionManager(Managed):
    """Not simulated: SSO tokens, SSPI, extensions, local and service tickets, impersonation."""

    TYPE = vim.SessionManager
    messageLocaleList = [LOCALE]
    supportedLocaleList = [LOCALE]
    defaultLocale = LOCALE

    def __init__(self, vcenter: World, moid: str, events: EventManager) -> None:
        super().__init__(vcenter, moid)
        self._events = events
        self.message = ""
        self._passwords: dict[str, str] = {}
        self._sessions: dict[str, ApiSession] = {}  # by cookie
        self._tickets: dict[str, ApiSession] = {}

    def add_user(self, name: str, password: str) -> None:
        self._passwords[name.lower()] = password

    def knows(self, name: str) -> bool:
        return name.lower() in self._passwords

    def is_password(self, user: str, password: str) -> bool:
        known = self._passwords.get(user.lower())
        return known is not None and hmac.compare_digest(known.encode(), password.encode())

    def find(self, cookie: str) -> Optional[ApiSession]:
        """The session of a cookie, its call counted; None if it is unknown or expired."""
        with self.vcenter.lock:
            session = self._sessions.get(cookie)
            if session is None:
                return None
            session.calls += 1
            session.last_active = self.vcenter.now()
            limit = self.vcenter.habits.session_calls
            if limit is not None and session.calls >= limit:
                self.end(session)
                return None
            return session

    def is_alive(self, session: ApiSession) -> bool:
        return self._sessions.get(session.cookie) is session

    def check(self, session: Optional[ApiSession], reference: Any, privilege: str) -> None:
        """Raises NotAuthenticated if there is no session."""
        if session is None:
            raise vim.fault.NotAuthenticated(
                object=reference,
                privilegeId=privilege,
                msg="The session is not authenticated.",
            )

    @contextlib.contextmanager
    def serving(self, session: Optional[ApiSession]) -> Iterator[None]:
        """Inside, `currentSession` is that of the request being answered."""
        token = _serving.set(session)
        try:
            yield
        finally:
            _serving.reset(token)

    @property
    def serving_session(self) -> Optional[ApiSession]:
        return _serving.get()

    def end(self, session: ApiSession) -> None:
        """Forget a session and what it owned."""
        with self.vcenter.lock:
            self._sessions.pop(session.cookie, None)
            for managed in session.owned:
                self.vcenter.objects.remove(managed)
            session.owned.clear()

    def expire_all(self) -> None:
        """Every client has to log in again."""
        with self.vcenter.lock:
            for session in list(self._sessions.values()):
                self.end(session)
        self.vcenter.notify()

    @property
    def currentSession(self) -> Any:
        session = _serving.get()
        return None if session is None else session.describe()

    @property
    def sessionList(self) -> list[Any]:
        return [session.describe() for session in self._sessions.values()]

    @operation("Login")
    def login(self, call: Call, user: str, password: str, locale: Optional[str]) -> Any:
        if locale is not None and locale.partition("_")[0] != "en":
            raise vim.fault.InvalidLocale(msg=f"The locale {locale} is not supported")
        if call.session is not None or not self.is_password(user, password):
            self._events.post(
                vim.event.BadUsernameSessionEvent(ipAddress=call.caller.address),
                f"Cannot login {user}@{call.caller.address}",
                user=user,
            )
            raise vim.fault.InvalidLogin(
                msg="Cannot complete login due to an incorrect user name or password."
            )
        return self._open(call, user).describe()

    def _open(self, call: Call, user: str) -> ApiSession:
        session = ApiSession(user, call.caller, self.vcenter.now())
        self._sessions[session.cookie] = session
        call.session = session
        self._events.post(
            vim.event.UserLoginSessionEvent(
                ipAddress=session.caller.address,
                userAgent=session.caller.user_agent,
                locale="en",
                sessionId=session.key,
            ),
            f"User {session.user}@{session.caller.address} logged in",
            user=session.user,
        )
        return session

    @operation("Logout")
    def logout(self, call: Call) -> None:
        session = call.session
        assert session is not None
        self.end(session)
        self._events.post(
            vim.event.UserLogoutSessionEvent(
                ipAddress=session.caller.address,
                callCount=session.calls,
                sessionId=session.key,
                loginTime=session.login_time,
            ),
            f"User {session.user}@{session.caller.address} logged out",
            user=session.user,
        )

    @operation("SessionIsActive")
    def session_is_active(self, call: Call, key: str, user: str) -> bool:
        return any(
            session.key == key and session.user == user for session in self._sessions.values()
        )

    @operation("TerminateSession")
    def terminate(self, call: Call, keys: list[str]) -> None:
        by_key = {session.key: session for session in self._sessions.values()}
        for key in keys:
            if key not in by_key:
                raise vim.fault.NotFound(msg=f"There is no session {key}")
            if call.session is not None and key == call.session.key:
                raise faults.invalid_argument("sessionId", "A session cannot end itself this way")
            self.end(by_key[key])

    @operation("AcquireCloneTicket")
    def acquire_clone_ticket(self, call: Call) -> str:
        assert call.session is not None
        ticket = "cst-VCT-" + secrets.token_hex(20)
        self._tickets[ticket] = call.session
        return ticket

    @operation("CloneSession")
    def clone_session(self, call: Call, ticket: str) -> Any:
        origin = self._tickets.pop(ticket, None)
        if origin is None or origin.cookie not in self._sessions:
            raise vim.fault.InvalidLogin(msg="The ticket is not valid")
        return self._open(call, origin.user).describe()

    @operation("SetLocale")
    def set_locale(self, call: Call, locale: str) -> None:
        if locale.partition("_")[0] != "en":
            raise vim.fault.InvalidLocale(msg=f"The locale {locale} is not supported")

    @operation("UpdateServiceMessage")
    def update_message(self, call: Call, message: str) -> None:
        self.message = message
