# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From a decoded request to the operation of a managed object, and its answer back."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from pyVmomi import VmomiSupport, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import faults, properties
from vmsnap_lab.vcenter.managed import Managed
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.services.session import Caller
from vmsnap_lab.vcenter.soap import request, response

log = logging.getLogger(__name__)

OK, FAULT = 200, 500
# Methods that change nothing: who waits for changes is not woken.
_READING = ("Retrieve", "Continue", "Query", "Find", "Has", "Read", "Check", "Wait", "Current")


class SoapAnswer(NamedTuple):
    status: int  # of HTTP
    body: bytes
    cookie: Optional[str]  # of a session that has just been opened


class SoapDispatcher:
    """Answers SOAP requests: session, receiver, privilege, operation, in this order."""

    def __init__(self, vcenter: ServiceHub) -> None:
        self._vcenter = vcenter

    def answer(self, body: bytes, soap_action: str, cookie: str, caller: Caller) -> SoapAnswer:
        """Raises ConnectionError if a habit lets the connection break."""
        version = VmomiSupport.newestVersions.GetName("vim")
        try:
            decoded = request.decode(body, soap_action)
            version = decoded.version
            session = self._vcenter.sessions.find(cookie)
            if self._vcenter.habits.before_call is not None:
                self._vcenter.habits.before_call(decoded.method.wsdlName, session)
            call = Call(
                self._vcenter.authorization,
                self._vcenter.tasks,
                session,
                caller,
                decoded.method,
            )
            with self._vcenter.sessions.serving(session):
                encoded = self._run(call, decoded)
            opened = call.session if call.session is not session else None
            return SoapAnswer(OK, encoded, opened.cookie if opened is not None else None)
        except vmodl.MethodFault as fault:
            return SoapAnswer(FAULT, response.encode_fault(fault, version), None)
        except StorageError as error:
            refused = faults.from_storage(error)
            return SoapAnswer(FAULT, response.encode_fault(refused, version), None)
        except ConnectionError:
            raise
        except Exception as error:
            log.exception("The simulation failed")
            return SoapAnswer(FAULT, response.encode_fault(faults.internal(error), version), None)

    def _run(self, call: Call, decoded: request.SoapRequest) -> bytes:
        if decoded.method is request.FETCH:
            return self._fetch(call, decoded)
        method = decoded.method
        target = self._receiver(call, decoded.target, method.privId, method.wsdlName)
        operation = _operation(target, method)
        with self._vcenter.lock:
            self._vcenter.authorization.require(call.session, method.privId, target)
            arguments = self._resolve(call, method, decoded.arguments)
        with self._failing(method):
            with contextlib.nullcontext() if operation.unlocked else self._vcenter.lock:
                result = operation(target, call, *arguments)
                value = properties.typed(result, method.result)
            if not method.isTask and not method.wsdlName.startswith(_READING):
                self._vcenter.notify()
        return response.encode_result(
            method.wsdlName, value, method.result, method.resultFlags, decoded.version
        )

    def _fetch(self, call: Call, decoded: request.SoapRequest) -> bytes:
        """One property: what pyVmomi asks for when an attribute is read."""
        name = decoded.arguments[0]
        info = _property_info(decoded.target, name)
        privilege = info.privId or "System.Read"
        target = self._receiver(call, decoded.target, privilege, "Fetch")
        with self._failing(decoded.method), self._vcenter.lock:
            self._vcenter.authorization.require(call.session, privilege, target)
            value = properties.read(target, name)
        return response.encode_result("Fetch", value, info.type, info.flags, decoded.version)

    @contextlib.contextmanager
    def _failing(self, method: Any) -> Iterator[None]:
        """Fail as the habits demand, before or after what is done within.

        A task's work meets its failures later, in the task.
        """
        habits = self._vcenter.habits
        met = [habits.next_failure(method.wsdlName, connection=True)]
        if not method.isTask:
            met.append(habits.next_failure(method.wsdlName, connection=False))
        for failure in met:
            if failure is not None and not failure.after:
                raise failure.fault
        yield
        for failure in met:
            if failure is not None:
                raise failure.fault

    def _receiver(self, call: Call, reference: Any, privilege: Optional[str], name: str) -> Managed:
        if privilege != "System.Anonymous":
            self._vcenter.sessions.check(call.session, reference, name)
        with self._vcenter.lock:
            return self._vcenter.objects.find(reference)

    def _resolve(self, call: Call, method: Any, arguments: list[Any]) -> list[Any]:
        """References in arguments as managed objects, the caller's right to them checked."""
        resolved = []
        for parameter, argument in zip(method.params, arguments):
            if isinstance(argument, VmomiSupport.ManagedObject):
                value: Any = self._vcenter.objects.find(argument)
                self._vcenter.authorization.require(call.session, parameter.privId, value)
            elif issubclass(parameter.type, list) and issubclass(
                parameter.type.Item, VmomiSupport.ManagedObject
            ):
                value = [self._vcenter.objects.find(reference) for reference in argument]
                for managed in value:
                    self._vcenter.authorization.require(call.session, parameter.privId, managed)
            else:
                value = argument
            resolved.append(value)
        return resolved


def _operation(target: Managed, method: Any) -> Any:
    if not issubclass(target.TYPE, method.type):
        raise vmodl.fault.MethodNotFound(
            receiver=target.ref,
            method=method.wsdlName,
            msg=f"{target.TYPE.__name__} has no method {method.wsdlName}",
        )
    operation = target.find_operation(method.wsdlName)
    if operation is None:
        raise vmodl.fault.NotSupported(
            msg=f"The simulation does not have {target.TYPE.__name__}.{method.wsdlName}"
        )
    return operation


def _property_info(reference: Any, name: str) -> Any:
    try:
        return type(reference)._GetPropertyInfo(name)
    except AttributeError:
        raise vmodl.query.InvalidProperty(
            name=name, msg=f"{type(reference).__name__} has no property {name}"
        ) from None
