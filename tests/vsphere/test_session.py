# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Who the server is, is known before a password is sent; sessions that expire begin anew."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from bareos_vmsnap.vsphere import faults, tls
from bareos_vmsnap.vsphere.session import Server, Session, SessionError
from vmsnap_lab.lab import Lab
from vmsnap_lab.vcenter import certificates


def logins(lab: Lab) -> int:
    """How many times anybody has tried to log in, rightly or not."""
    kinds = (vim.event.UserLoginSessionEvent, vim.event.BadUsernameSessionEvent)
    content = lab.connect().content
    spec = vim.event.EventFilterSpec()
    return sum(isinstance(e, kinds) for e in content.eventManager.QueryEvents(spec)) - 1


def digest(lab: Lab, algorithm: str) -> str:
    pem = (lab.ca_file.parent / "server.pem").read_text()
    return hashlib.new(algorithm, ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_the_pinned_certificate_is_accepted(lab: Lab, server: Server, algorithm: str) -> None:
    pinned = dataclasses.replace(server, ca_file=None, thumbprint=digest(lab, algorithm))
    session = Session(pinned)
    assert session.is_vcenter
    session.close()


@pytest.mark.parametrize("ca", [True, False], ids=["verifiable", "unverifiable"])
def test_another_certificate_than_the_pinned_one(lab: Lab, server: Server, ca: bool) -> None:
    """Even one that a known authority vouches for; and nobody tries to log in."""
    wrong = digest(lab, "sha256")[::-1]
    pinned = dataclasses.replace(server, thumbprint=wrong, ca_file=server.ca_file if ca else None)
    before = logins(lab)
    with pytest.raises(SessionError, match="is not the pinned one"):
        Session(pinned)
    assert logins(lab) == before + 1  # this is logins() itself, of before


def test_every_connection_is_checked(lab: Lab, server: Server) -> None:
    context = dataclasses.replace(server, thumbprint=digest(lab, "sha1")).tls_context()
    assert isinstance(context, tls.PinnedContext)
    session = Session(dataclasses.replace(server, ca_file=None, thumbprint=digest(lab, "sha1")))
    session.stub.soapStub.schemeArgs["context"]._thumbprint = "0" * 40  # another server from now on
    session.stub.DropConnections()
    with pytest.raises(SessionError, match="is not the pinned one"):
        session.instance.CurrentTime()


def test_a_digest_that_is_none() -> None:
    with pytest.raises(ValueError, match="is no SHA-1"):
        tls.PinnedContext.of("ab:cd")


def test_without_verification(lab: Lab, server: Server) -> None:
    with pytest.raises(SessionError, match="was not accepted"):
        Session(dataclasses.replace(server, ca_file=None))
    Session(dataclasses.replace(server, ca_file=None, verify=False)).close()


def test_the_password_is_not_shown(server: Server) -> None:
    assert server.password not in repr(server)


def test_an_expired_session_begins_anew(lab: Lab, session: Session) -> None:
    vm: Any = session.managed(vim.VirtualMachine, lab.create_vm("expires").moref)
    cookie = session.cookie
    lab.vcenter.sessions.expire_all()
    assert vm.name == "expires"
    assert session.cookie != cookie
    lab.vcenter.sessions.expire_all()
    session.ensure()
    assert session.content.sessionManager.currentSession.userName == lab.user


def test_a_password_that_was_changed_meanwhile(lab: Lab, session: Session) -> None:
    lab.vcenter.add_user(lab.user, "another")
    lab.vcenter.sessions.expire_all()
    with pytest.raises(SessionError, match="refused the login"):
        session.instance.CurrentTime()
    lab.vcenter.add_user(lab.user, lab.password)


def test_a_server_that_is_gone(lab: Lab, session: Session) -> None:
    lab.server.stop()
    with pytest.raises(SessionError, match=f"{lab.host}:{lab.port} cannot be reached"):
        session.instance.CurrentTime()
    session.close()
    lab.server.start()


class Other(http.server.ThreadingHTTPServer):
    """An HTTPS server, with the lab's certificate, that is no vCenter."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        made = certificates.ensure(lab.ca_file.parent)
        self.socket = made.server_context().wrap_socket(self.socket, server_side=True)
        self.answer: tuple[int, bytes, dict[str, str]] = (200, b"", {})
        # What is still answered as vSphere does.
        self.versions = False


class Answers(http.server.BaseHTTPRequestHandler):
    server: Other

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body, headers = self.server.answer
        if self.server.versions and self.path.endswith("/vimServiceVersions.xml"):
            status, body, headers = 200, VERSIONS, {}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


VERSIONS = b"""<?xml version="1.0"?><namespaces version="1.0"><namespace><name>urn:vim25</name>
<version>8.0.1.0</version></namespace></namespaces>"""
ENVELOPE = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>%s</e:Body></e:Envelope>'


@pytest.fixture
def other(lab: Lab) -> Iterator[Other]:
    with Other(lab) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize("versions", [False, True], ids=["at once", "after the versions"])
@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html><body>hello<br></body></html>", {}),
        (200, b'<?xml version="1.0"?><a/>', {}),
        (200, ENVELOPE % b"<a/>", {}),
        (200, ENVELOPE % b"", {}),
        (200, b"", {}),
        (200, b"\xff\xfe\x00garbage", {}),
        (200, b'<?xml version="1.0" encoding="utf-8"?><a>\xff</a>', {}),
        (200, b"no gzip", {"Content-Encoding": "gzip"}),
        (200, b"no deflate", {"Content-Encoding": "deflate"}),
        (302, b"", {"Location": "/"}),
        (404, b"<html/>", {}),
        (500, b"<html>oops<br></html>", {}),
        (500, ENVELOPE % b"<a/>", {}),
        (503, b"no healthy upstream", {}),
    ],
)
def test_a_server_that_is_no_vcenter(
    server: Server, other: Other, versions: bool, answer: tuple[int, bytes, dict[str, str]]
) -> None:
    """It also answers so while it starts."""
    other.answer, other.versions = answer, versions
    with pytest.raises(SessionError, match="does not answer as a vCenter") as raised:
        Session(dataclasses.replace(server, port=other.server_address[1]))
    assert raised.value.id == "server-not-vsphere"
    assert "If the server is starting" in str(raised.value)


@pytest.mark.parametrize(
    "host",
    ["vc..example.com", f"{'a' * 70}.example.com", "vc example", "https://vc.example.com", "["],
)
def test_what_cannot_be_the_name_of_a_host(server: Server, host: str) -> None:
    with pytest.raises(SessionError, match="cannot be reached") as raised:
        Session(dataclasses.replace(server, host=host))
    assert raised.value.id == "server-unreachable"


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, b"no healthy upstream"), (500, b"<html>oops<br></html>"), (200, b""), (200, b"\xff")],
)
def test_a_vcenter_that_starts_anew_meanwhile(
    session: Session, other: Other, status: int, body: bytes
) -> None:
    other.answer = (status, body, {})
    session.stub.DropConnections()
    session.stub.soapStub.port = other.server_address[1]
    with pytest.raises(SessionError) as raised:
        session.instance.CurrentTime()
    assert raised.value.id == "server-not-vsphere"


def test_faults_that_nobody_catches() -> None:
    fault = vim.fault.NoPermission(msg="no", privilegeId="System.View")
    error = faults.translated(fault)
    assert str(error) == "vSphere refused a call: NoPermission: no; privilegeId System.View."
    assert (error.id, error.__cause__) == ("vsphere-refused", fault)
    assert faults.translated(vmodl.fault.SystemError(msg="x")).id == "vsphere-refused"
    assert faults.translated(MemoryError()).id == "no-memory"
    assert faults.translated(error) is error
