# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The wire: TLS, versions, faults, unknown calls."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from typing import Any

import pytest
from pyVim import connect
from pyVmomi import SoapStubAdapter, vim, vmodl

from vmsnap_lab.lab import Lab

from .client import Client, service, vm_of, wait

ENVELOPE = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Header>'
    "<operationID>x</operationID></soapenv:Header><soapenv:Body>{}</soapenv:Body>"
    "</soapenv:Envelope>"
)


def post(lab: Lab, body: str, path: str = "/sdk") -> tuple[int, str]:
    connection = http.client.HTTPSConnection(lab.host, lab.port, context=lab.tls_context())
    connection.request("POST", path, body.encode(), {"SOAPAction": '"urn:vim25/8.0.2.0"'})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_the_certificate_is_verified(lab: Lab) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        connect.SmartConnect(
            host=lab.host,
            port=lab.port,
            user=lab.user,
            pwd=lab.password,
            sslContext=ssl.create_default_context(),
        )


def test_the_thumbprint_is_that_of_the_certificate(lab: Lab) -> None:
    stub = SoapStubAdapter(
        host=lab.host,
        port=lab.port,
        thumbprint=lab.thumbprint,
        sslContext=ssl.create_default_context(),
        version="vim.version.version9",
    )
    assert service(stub).content.about.apiType == "VirtualCenter"
    stub.DropConnections()


def test_about(client: Client) -> None:
    about = client.content.about
    assert (about.apiType, about.productLineId) == ("VirtualCenter", "vpx")
    assert about.instanceUuid


def test_an_old_client_does_not_get_newer_properties(lab: Lab) -> None:
    stub = SoapStubAdapter(
        host=lab.host, port=lab.port, sslContext=lab.tls_context(), version="vim.version.version9"
    )
    si = service(stub)
    si.content.sessionManager.Login(lab.user, lab.password, None)
    guest = lab.create_vm("old client")
    config = vm_of(stub, guest.moref).config
    assert config.createDate is None
    assert config.name == "old client"
    stub.DropConnections()


def test_a_known_method_the_simulation_lacks_is_not_supported(client: Client) -> None:
    guest, vm = client.vm()
    with pytest.raises(vmodl.fault.NotSupported, match="AcquireMksTicket"):
        vm.AcquireMksTicket()
    with pytest.raises(vmodl.fault.NotSupported):
        _ = client.content.rootFolder.childEntity[0].hostFolder.childEntity[0].configurationEx


def test_an_unset_property_is_unset(client: Client) -> None:
    guest, vm = client.vm()
    assert vm.snapshot is None
    assert vm.parentVApp is None
    assert list(vm.tag) == []


def test_a_method_of_another_type_is_not_found(lab: Lab, client: Client) -> None:
    status, text = post(
        lab,
        ENVELOPE.format(
            '<CreateFolder xmlns="urn:vim25"><_this type="SearchIndex">SearchIndex</_this>'
            "<name>x</name></CreateFolder>"
        ),
    )
    assert status == 500
    assert "NotAuthenticatedFault" in text
    index = client.content.searchIndex
    method: Any = vim.Folder.CreateFolder
    with pytest.raises(vmodl.fault.MethodNotFound):
        client.si._stub.InvokeMethod(index, method.info, ["x"])


def test_a_deleted_object_is_not_found(client: Client) -> None:
    gone = vim.VirtualMachine("vm-987654", client.si._stub)
    with pytest.raises(vmodl.fault.ManagedObjectNotFound) as caught:
        _ = gone.name
    assert caught.value.obj._moId == "vm-987654"
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        client.content.viewManager.CreateContainerView(
            vim.Folder("group-v999", client.si._stub), [], True
        )


def test_an_object_of_another_type_is_not_found(client: Client) -> None:
    folder = client.find("Lab/vm")
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = vim.VirtualMachine(folder._moId, client.si._stub).name


@pytest.mark.parametrize(
    "body",
    [
        "not xml",
        ENVELOPE.format(""),
        ENVELOPE.format('<NoSuchMethod xmlns="urn:vim25"/>'),
        ENVELOPE.format('<CurrentTime xmlns="urn:vim25"/>'),
        ENVELOPE.format(
            '<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>'
            "<userName>x</userName></Login>"
        ),
        ENVELOPE.format(
            '<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>'
            "<userName>x</userName><password>y</password><colour>red</colour></Login>"
        ),
    ],
    ids=["garbage", "empty", "unknown method", "no receiver", "missing", "surplus"],
)
def test_malformed_requests_are_refused(lab: Lab, body: str) -> None:
    status, text = post(lab, body)
    assert status == 500
    assert "InvalidRequestFault" in text


def test_names_are_kept_byte_for_byte(client: Client) -> None:
    guest, vm = client.vm()
    for name in ["中文/快照", " <&>\"' ", "a" * 200, "tab\there", "%2f"]:
        snapshot = client.snapshot(vm, name, f"of {name}\nsecond line")
        node = vm.snapshot.rootSnapshotList[0]
        while node.childSnapshotList:
            node = node.childSnapshotList[0]
        assert node.snapshot == snapshot
        assert (node.name, node.description) == (name, f"of {name}\nsecond line")


def test_unknown_paths(lab: Lab) -> None:
    assert post(lab, "", "/elsewhere")[0] == 404


def test_a_simple_call_is_fast(client: Client) -> None:
    """It costs little, and no delay of TCP's (40 ms) is in it: a busy machine slows most calls down,
    but not the fastest quarter by so much."""
    guest, vm = client.vm()
    taken = []
    worked = time.process_time()
    for _ in range(200):
        started = time.perf_counter()
        assert vm.name
        taken.append(time.perf_counter() - started)
    assert (time.process_time() - worked) / 200 < 0.005
    assert sorted(taken)[50] < 0.03


def test_somebody_acts_before_calls(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    met = []
    acting = threading.Lock()

    def act(method: str, session: Any) -> None:
        if acting.acquire(blocking=False):  # not before its own calls
            met.append(method)
            assert vm.name
            acting.release()

    lab.habits.before_call = act
    assert vm.runtime.powerState == "poweredOff"
    wait(vm.CreateSnapshot_Task("s", None, False, False))
    lab.habits.before_call = None
    assert vm.name
    assert met[:2] == ["Fetch", "CreateSnapshot_Task"]
