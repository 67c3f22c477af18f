# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Who the server is, is known before a password is sent; sessions that expire begin anew."""

from __future__ import annotations

import dataclasses
import hashlib
import ssl
from typing import Any

import pytest
from pyVmomi import vim

from bareos_vmsnap.vsphere import tls
from bareos_vmsnap.vsphere.session import Server, Session, SessionError
from vmsnap_lab.lab import Lab


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
