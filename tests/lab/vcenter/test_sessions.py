# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import http.client
import threading

import pytest
from pyVim import connect
from pyVmomi import SoapStubAdapter, vim, vmodl

from vmsnap_lab.lab import Lab

from .client import Client, service


def test_wrong_password(lab: Lab, client: Client) -> None:
    with pytest.raises(vim.fault.InvalidLogin):
        lab.connect(password="wrong")
    with pytest.raises(vim.fault.InvalidLogin):
        lab.connect(user="nobody")
    kinds = [type(event) for event in client.events()]
    assert vim.event.BadUsernameSessionEvent in kinds


def test_the_current_session(lab: Lab, client: Client) -> None:
    session = client.content.sessionManager.currentSession
    assert session.userName == lab.user
    assert session.callCount > 0
    assert client.content.sessionManager.SessionIsActive(session.key, lab.user)
    assert session.key in [known.key for known in client.content.sessionManager.sessionList]


def test_nothing_but_the_service_content_without_login(lab: Lab) -> None:
    stub = SoapStubAdapter(
        host=lab.host, port=lab.port, sslContext=lab.tls_context(), version="vim.version.version9"
    )
    content = service(stub).content
    assert content.sessionManager.currentSession is None
    with pytest.raises(vim.fault.NotAuthenticated) as caught:
        _ = content.rootFolder.name
    assert caught.value.object == content.rootFolder
    with pytest.raises(vim.fault.NotAuthenticated):
        content.searchIndex.FindByInventoryPath("Lab")
    Collector = vmodl.query.PropertyCollector
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=content.rootFolder)],
        propSet=[Collector.PropertySpec(type=vim.Folder, pathSet=["name"])],
    )
    (found,) = content.propertyCollector.RetrieveContents([spec])
    assert type(found.missingSet[0].fault) is vim.fault.NotAuthenticated
    stub.DropConnections()


def test_logout(lab: Lab) -> None:
    si = lab.connect()
    root = si.content.rootFolder
    key = si.content.sessionManager.currentSession.key
    si.content.sessionManager.Logout()
    with pytest.raises(vim.fault.NotAuthenticated):
        _ = root.name
    with Client(lab) as other:
        assert not other.content.sessionManager.SessionIsActive(key, lab.user)
    si._stub.DropConnections()


def test_a_second_login_is_refused(lab: Lab, client: Client) -> None:
    with pytest.raises(vim.fault.InvalidLogin):
        client.content.sessionManager.Login(lab.user, lab.password, None)


def test_a_session_is_taken_up_by_its_cookie(lab: Lab, client: Client) -> None:
    other = connect.SmartConnect(
        host=lab.host,
        port=lab.port,
        sslContext=lab.tls_context(),
        sessionId=client.si._stub.GetSessionId(),
    )
    key = other.content.sessionManager.currentSession.key
    assert key == client.content.sessionManager.currentSession.key
    other._stub.DropConnections()


def test_a_cloned_session(lab: Lab, client: Client) -> None:
    ticket = client.content.sessionManager.AcquireCloneTicket()
    stub = SoapStubAdapter(
        host=lab.host, port=lab.port, sslContext=lab.tls_context(), version="vim.version.version9"
    )
    content = service(stub).content
    assert content.sessionManager.CloneSession(ticket).userName == lab.user
    assert content.rootFolder.name == "Datacenters"
    with pytest.raises(vim.fault.InvalidLogin):
        service(stub).content.sessionManager.CloneSession(ticket)
    stub.DropConnections()


def test_termination(lab: Lab, client: Client) -> None:
    si = lab.connect()
    key = si.content.sessionManager.currentSession.key
    client.content.sessionManager.TerminateSession([key])
    with pytest.raises(vim.fault.NotAuthenticated):
        _ = si.content.rootFolder.name
    with pytest.raises(vim.fault.NotFound):
        client.content.sessionManager.TerminateSession([key])
    si._stub.DropConnections()


def test_sessions_expire_after_some_calls(lab: Lab) -> None:
    with Client(lab) as client:
        root = client.content.rootFolder
        before = client.content.sessionManager.currentSession.callCount
        lab.habits.session_calls = before + 3
        assert [root.name, root.name] == ["Datacenters"] * 2
        with pytest.raises(vim.fault.NotAuthenticated):
            _ = root.name
        lab.habits.session_calls = None
        client.content.sessionManager.Login(lab.user, lab.password, None)
        assert root.name == "Datacenters"


def test_what_a_session_made_ends_with_it(lab: Lab) -> None:
    with Client(lab) as client:
        root = client.content.rootFolder
        view = client.content.viewManager.CreateContainerView(root, [], True)
        lab.vcenter.sessions.expire_all()
        client.content.sessionManager.Login(lab.user, lab.password, None)
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            _ = view.view


def test_expiry_ends_a_wait(lab: Lab) -> None:
    with Client(lab) as client:
        threading.Timer(0.2, lab.vcenter.sessions.expire_all).start()
        with pytest.raises(vim.fault.NotAuthenticated):
            client.content.propertyCollector.WaitForUpdatesEx(None, None)


def test_a_server_that_was_away_is_back_on_its_port(own_lab: Lab) -> None:
    si = own_lab.connect()
    port = own_lab.port
    own_lab.server.stop()
    with pytest.raises(OSError):
        _ = si.content
    own_lab.server.start()
    assert own_lab.port == port
    assert si.content.rootFolder.name == "Datacenters"
    si._stub.DropConnections()


@pytest.mark.parametrize("after", [False, True])
def test_a_task_may_have_been_started_when_the_connection_breaks(
    lab: Lab, client: Client, after: bool
) -> None:
    guest, vm = client.vm()
    lab.habits.fail("CreateSnapshot_Task", ConnectionError(), after=after)
    with pytest.raises((OSError, http.client.HTTPException)):
        vm.CreateSnapshot_Task("s", None, False, False)
    assert all(task.wait(60) for task in lab.vcenter.tasks.all)
    assert (vm.snapshot is not None) is after


def test_a_connection_can_break_at_a_call(lab: Lab, client: Client) -> None:
    lab.habits.fail("CurrentTime", ConnectionError())
    lab.habits.fail("Fetch", ConnectionError(), nth=2)
    with pytest.raises((OSError, http.client.HTTPException)):
        client.si.CurrentTime()
    assert client.si.CurrentTime()
    root = client.content.rootFolder
    assert root.name
    with pytest.raises((OSError, http.client.HTTPException)):
        _ = root.name
    assert root.name
