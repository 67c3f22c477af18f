# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Encoding results and faults with pyVmomi's serializer."""

from __future__ import annotations

import copy
import io
from typing import Any

from pyVmomi import SoapAdapter, VmomiSupport

VIM = SoapAdapter.XMLNS_VMODL_BASE
_NAMESPACES = {**SoapAdapter.SOAP_NSMAP, VIM: ""}


def encode_result(wsdl_name: str, value: Any, declared: Any, flags: int, version: str) -> bytes:
    """The envelope around the result of a method. `declared` is the type of its result."""
    info = VmomiSupport.Object(
        name="returnval", type=declared, version=VmomiSupport.BASE_VERSION, flags=flags
    )
    writer = io.StringIO()
    empty = value is None or (isinstance(value, list) and not value)
    if not empty:
        _serializer(writer, version).Serialize(value, info)
    return _envelope(
        f'<{wsdl_name}Response xmlns="{VIM}">{writer.getvalue()}</{wsdl_name}Response>'
    )


def encode_fault(fault: Any, version: str) -> bytes:
    """The envelope around a fault: pyVmomi raises it at the caller with its message."""
    message = fault.msg or type(fault).__name__
    detail = copy.copy(fault)
    detail.msg = None  # it travels as the fault string
    info = VmomiSupport.Object(
        name=VmomiSupport.GetWsdlName(type(fault)) + "Fault",
        type=object,
        version=VmomiSupport.BASE_VERSION,
        flags=0,
    )
    writer = io.StringIO()
    _serializer(writer, version).SerializeFaultDetail(detail, info)
    # The serializer leaves the namespace of the outermost element to its caller.
    element = writer.getvalue().replace(f"<{info.name}", f'<{info.name} xmlns="{VIM}"', 1)
    return _envelope(
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode>"
        f"<faultstring>{SoapAdapter.XmlEscape(message)}</faultstring>"
        f"<detail>{element}</detail></soapenv:Fault>"
    )


def _serializer(writer: io.StringIO, version: str) -> Any:
    serializer = SoapAdapter.SoapSerializer(writer, version, _NAMESPACES)
    serializer.outermostAttrs = ""  # the version attribute: no server sends it
    return serializer


def _envelope(body: str) -> bytes:
    text = SoapAdapter.XML_HEADER + SoapAdapter.SOAP_START + body + SoapAdapter.SOAP_END
    return text.encode(SoapAdapter.XML_ENCODING)
