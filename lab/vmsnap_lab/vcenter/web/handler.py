# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""HTTP requests: SOAP at /sdk, datastore files at /folder."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from typing import Any, Optional
from urllib.parse import parse_qs, unquote, urlsplit

from pyVmomi import VmomiSupport

from vmsnap_lab.vcenter.services.call import Caller
from vmsnap_lab.vcenter.vcenter import VCenter
from vmsnap_lab.vcenter.web import folder

SDK, VERSIONS, FOLDER = "/sdk", "/sdk/vimServiceVersions.xml", "/folder"
COOKIE = "vmware_soap_session"
LARGEST_BODY = 1 << 30


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "bareos-vmsnap-lab"
    wbufsize = 1 << 16  # headers and body leave together
    server: Any

    @property
    def _vcenter(self) -> VCenter:
        return self.server.vcenter

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        if urlsplit(self.path).path.rstrip("/") != SDK:
            self._send(HTTPStatus.NOT_FOUND)
            return
        caller = Caller(self.client_address[0], self.headers.get("User-Agent", ""))
        try:
            answer = self.server.dispatcher.answer(
                body, self.headers.get("SOAPAction", ""), self._cookie(), caller
            )
        except ConnectionError:
            self.close_connection = True
            return
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        if answer.cookie is not None:
            headers["Set-Cookie"] = f'{COOKIE}="{answer.cookie}"; Path=/; HttpOnly; Secure;'
        self._send(answer.status, answer.body, headers)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == VERSIONS:
            self._send(HTTPStatus.OK, versions(), {"Content-Type": "text/xml"})
        elif path == FOLDER or path.startswith(FOLDER + "/"):
            self._folder(b"")
        else:
            self._send(HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        body = self._body()
        if body is not None:
            self._folder(body)

    def do_DELETE(self) -> None:
        self._folder(b"")

    def _folder(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        reply = folder.answer(
            self._vcenter,
            self.command,
            unquote(parts.path[len(FOLDER) :]).strip("/"),
            query,
            self._user(),
            body,
        )
        self._send(reply.status, reply.body, reply.headers)

    def _user(self) -> Optional[str]:
        """Who asks: known by the session's cookie, or by name and password."""
        session = self._vcenter.sessions.find(self._cookie())
        if session is not None:
            return session.user
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(credentials).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user if self._vcenter.sessions.is_password(user, password) else None

    def _cookie(self) -> str:
        """The session's cookie, quoted or not; "" without one."""
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return ""
        return cookies[COOKIE].value if COOKIE in cookies else ""

    def _body(self) -> Optional[bytes]:
        """The body of the request; None if it was refused already."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self._send(HTTPStatus.LENGTH_REQUIRED)
            return None
        return self.rfile.read(int(length))

    def _send(
        self, status: int, body: bytes = b"", headers: Optional[dict[str, str]] = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """No log: what clients did is in the event history."""


def versions() -> bytes:
    """vimServiceVersions.xml: every version of the API that pyVmomi knows."""
    newest, *older = (
        VmomiSupport.versionIdMap[version]
        for version in VmomiSupport.GetServiceVersions("vim25")
        if VmomiSupport.versionIdMap[version]
    )
    prior = "".join(f"<version>{version}</version>" for version in older)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<namespaces version="1.0"><namespace><name>urn:vim25</name>'
        f"<version>{newest}</version><priorVersions>{prior}</priorVersions>"
        "</namespace></namespaces>\n"
    ).encode()
