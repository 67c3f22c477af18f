# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Decoding SOAP requests with pyVmomi's own type tables."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional
from xml.parsers import expat

from pyVmomi import SoapAdapter, VmomiSupport, vmodl

ENVELOPE = SoapAdapter.XMLNS_SOAPENV
VIM = SoapAdapter.XMLNS_VMODL_BASE
SEPARATOR = SoapAdapter.NS_SEP
BODY_DEPTH = 2


class SoapRequest(NamedTuple):
    target: Any  # reference to the receiver
    method: Any  # pyVmomi's description of the method
    arguments: list[Any]  # one per parameter, None if unset
    version: str  # vmodl version of the client


# What pyVmomi sends to read one property: no method of the type tables.
FETCH = VmomiSupport.Object(
    name="Fetch",
    wsdlName="Fetch",
    params=(
        VmomiSupport.Object(name="prop", type=str, flags=0, version=VmomiSupport.BASE_VERSION),
    ),
    privId=None,
    isTask=False,
)


def decode(body: bytes, soap_action: str) -> SoapRequest:
    """Raises vmodl.fault.InvalidRequest for anything that is not a call of a known method."""
    envelope = _Envelope()
    try:
        envelope.parse(body)
    except vmodl.fault.InvalidRequest:
        raise
    except (expat.ExpatError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise vmodl.fault.InvalidRequest(msg=f"Cannot read the request: {error}") from error
    return envelope.request(_version(soap_action))


def _version(soap_action: str) -> str:
    """The vmodl version named as `"urn:vim25/8.0.2.0"`; the newest known for anything else."""
    wire_id = soap_action.strip('"').rpartition(":")[2]
    known = VmomiSupport.versionMap.get(wire_id)
    return known if known is not None else VmomiSupport.newestVersions.GetName("vim")


class _Envelope(SoapAdapter.ExpatDeserializerNSHandlers):
    """Finds the method below soapenv:Body and hands each parameter to pyVmomi's deserializer."""

    def __init__(self) -> None:
        super().__init__()
        self._path: list[str] = []
        self._method: Optional[Any] = None
        self._values: list[tuple[str, Any]] = []  # tag and its deserializer

    def parse(self, body: bytes) -> None:
        self._parser = expat.ParserCreate(namespace_separator=SEPARATOR)
        self._parser.buffer_text = True
        SoapAdapter.SetHandlers(self._parser, SoapAdapter.GetHandlers(self))
        self._parser.Parse(body, True)

    def request(self, version: str) -> SoapRequest:
        if self._method is None:
            raise vmodl.fault.InvalidRequest(msg="The request has no method")
        received: dict[str, list[Any]] = {}
        for tag, deserializer in self._values:
            received.setdefault(tag, []).append(deserializer.GetResult())
        targets = received.pop("_this", [])
        if len(targets) != 1:
            raise vmodl.fault.InvalidRequest(msg="The request has no receiver")
        arguments = [_argument(parameter, received) for parameter in self._method.params]
        if received:
            raise vmodl.fault.InvalidRequest(
                msg=f"{self._method.wsdlName} has no parameter {sorted(received)[0]}"
            )
        return SoapRequest(targets[0], self._method, arguments, version)

    def StartElementHandler(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition(SEPARATOR)
        if self._method is not None:
            self._start_value(tag, name, attributes)
            return
        self._path.append(tag)
        in_body = self._path[1:2] == [ENVELOPE + SEPARATOR + "Body"]
        if in_body and len(self._path) == BODY_DEPTH + 1:
            self._method = _method(namespace, name)

    def EndElementHandler(self, tag: str) -> None:
        if self._path:
            self._path.pop()

    def CharacterDataHandler(self, data: str) -> None:
        """White space between elements."""

    def _start_value(self, tag: str, name: str, attributes: dict[str, str]) -> None:
        assert self._method is not None
        deserializer = SoapAdapter.SoapDeserializer()
        deserializer.Deserialize(
            self._parser, _parameter_type(self._method, name), False, self.nsMap
        )
        self._values.append((name, deserializer))
        deserializer.StartElementHandler(tag, attributes)


def _method(namespace: str, name: str) -> Any:
    if name == "Fetch":
        return FETCH
    try:
        return VmomiSupport.GetWsdlMethod(namespace, name).info
    except KeyError:
        raise vmodl.fault.InvalidRequest(msg=f"Unknown method {name}") from None


def _parameter_type(method: Any, name: str) -> Any:
    """The type of one element of the parameter: repeated elements are an array."""
    if name == "_this":
        return VmomiSupport.ManagedObject
    for parameter in method.params:
        if parameter.name == name:
            declared = parameter.type
            return declared.Item if issubclass(declared, list) else declared
    raise vmodl.fault.InvalidRequest(msg=f"{method.wsdlName} has no parameter {name}")


def _argument(parameter: Any, received: dict[str, list[Any]]) -> Any:
    values = received.pop(parameter.name, [])
    if issubclass(parameter.type, list):
        return parameter.type(values)
    if not values:
        if parameter.flags & VmomiSupport.F_OPTIONAL:
            return None
        raise vmodl.fault.InvalidRequest(msg=f"Required parameter {parameter.name} is missing")
    return values[-1]
