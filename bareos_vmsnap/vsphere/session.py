# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A session with vCenter or ESXi that logs in again when it has expired."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ssl
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional
from xml.parsers.expat import ExpatError

from pyVim import connect
from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.vsphere import properties, tls

# How often a call whose connection broke is sent again. Our snapshots have unique names, so the
# result of a request that arrived twice is found and cleaned up.
_RETRIES = 3
_CONNECT_TIMEOUT = 30  # seconds


class SessionError(errors.VmsnapError):
    """vCenter or ESXi could not be reached, could not be authenticated, or refused the login."""


@dataclass(frozen=True)
class Server:
    """Where to log in, and how the server proves who it is.

    With a `thumbprint` (SHA-1, SHA-256 or SHA-512, hexadecimal) exactly that certificate is
    accepted; else it is verified against `ca_file`, or the system's CAs if that is None.
    """

    host: str
    user: str
    password: str = field(repr=False)
    port: int = 443
    ca_file: Optional[str] = None
    thumbprint: Optional[str] = None
    verify: bool = True

    def tls_context(self) -> tls.SeeingContext:
        """The TLS context for every connection to this server. Raises SessionError."""
        if self.thumbprint:
            return tls.PinnedContext.of(self.thumbprint)
        try:
            return tls.SeeingContext.trusting(self.ca_file, self.verify)
        except OSError as error:
            raise SessionError(
                f"The CA file {self.ca_file} cannot be used: {error.strerror or error}",
                id="ca-file-unusable",
            ) from error


class _Stub(connect.VimSessionOrientedStub):
    """Logs in again if needed, and explains connection failures to an admin."""

    def __init__(self, server: Server, plain: Any) -> None:
        login = self.makeUserLoginMethod(server.user, server.password)
        super().__init__(plain, login, retryCount=_RETRIES)
        self._server = server

    def InvokeMethod(self, *arguments: Any) -> Any:
        """Call a method; attributes are read by such calls too. Raises SessionError."""
        try:
            return super().InvokeMethod(*arguments)
        except (*_NO_CONNECTION, *_NO_ANSWER) as error:
            raise _explained(self._server, error) from error


class Session:
    """A logged-in session. `content` is the ServiceContent; managed objects share its stub."""

    def __init__(self, server: Server) -> None:
        """Log in. Raises SessionError."""
        self.server = server
        self._tls = server.tls_context()
        try:
            plain = connect.SmartStubAdapter(
                host=server.host,
                port=server.port,
                sslContext=self._tls,
                httpConnectionTimeout=_CONNECT_TIMEOUT,
            )
            self.stub = _Stub(server, plain)
            self.instance = vim.ServiceInstance("ServiceInstance", self.stub)
            self.content: Any = self.instance.RetrieveContent()
            self.ensure()
        except (*_NO_CONNECTION, vim.fault.NoPermission) as error:
            raise _explained(server, error) from error
        except (vmodl.MethodFault, errors.VmsnapError):
            raise
        except Exception as error:  # pyVmomi expects a vSphere, and may raise anything
            raise _explained(server, error) from error

    def ensure(self) -> None:
        """Log in (again) if needed. Raises what the server raises."""
        if self.content.sessionManager.currentSession is None:
            self.stub.loginMethod(self.stub.soapStub)

    @property
    def cookie(self) -> str:
        """The session's cookie ("vmware_soap_session=..."), a secret."""
        return str(self.stub.soapStub.cookie)

    @property
    def thumbprint(self) -> str:
        """The SHA-1 digest, in hexadecimal, of the certificate this session verified."""
        return hashlib.sha1(self._tls.seen or b"").hexdigest()

    @property
    def is_vcenter(self) -> bool:
        """Whether this is a vCenter and not a single ESXi host."""
        return bool(self.content.about.apiType == "VirtualCenter")

    def managed(self, kind: Any, moref: str) -> Any:
        """The managed object of that type and id, e.g. (vim.VirtualMachine, "vm-12")."""
        return kind(moref, self.stub)

    def read(self, kind: Any, morefs: Iterable[str], path: str) -> dict[str, Any]:
        """One property of several objects by their ids, in one call; see properties.retrieve."""
        found = self.read_all(kind, morefs, [path])
        return {moref: values[path] for moref, values in found.items() if path in values}

    def read_all(
        self, kind: Any, morefs: Iterable[str], paths: Iterable[str]
    ) -> dict[str, dict[str, Any]]:
        """Several properties of several objects, in one call; see properties.retrieve_all."""
        ids, wanted, attempt = list(morefs), list(paths), 0
        while True:
            try:
                collector = self.content.propertyCollector
                return properties.retrieve_all(collector, kind, ids, wanted)
            except vim.fault.NotAuthenticated:
                attempt += 1
                if attempt > _RETRIES:
                    raise
                self.ensure()

    def close(self) -> None:
        """Log out. A server that is gone or a session that has ended is not an error."""
        gone = (*_UNREACHABLE, vim.fault.NotAuthenticated, vmodl.MethodFault)
        with contextlib.suppress(*gone):
            vim.SessionManager(self.content.sessionManager._moId, self.stub.soapStub).Logout()
        self.stub.DropConnections()


_UNREACHABLE = (OSError, http.client.HTTPException)
_NO_CONNECTION = (*_UNREACHABLE, vim.fault.InvalidLogin)
# What pyVmomi raises for an answer that is not XML, or not compressed as the server says.
_NO_ANSWER = (ExpatError, UnicodeDecodeError, zlib.error, EOFError)


def _explained(server: Server, error: BaseException) -> SessionError:
    where = f"{server.host}:{server.port}"
    if isinstance(error, vim.fault.InvalidLogin):
        return SessionError(
            f"{where} refused the login of {server.user}",
            todo="Check vcuser and the password (vcpass_file)",
            id="login-refused",
        )
    if isinstance(error, vim.fault.NoPermission):
        return SessionError(
            f"{server.user} may not log in at {where}: it lacks {error.privilegeId}",
            todo="Give the user the role described in the documentation",
            id="login-forbidden",
        )
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, tls.NotPinnedError):
        return SessionError(
            f"The TLS certificate of {where} is not the pinned one: {text}",
            todo="Check vcthumbprint; has the certificate been renewed?",
            id="certificate-not-pinned",
        )
    if isinstance(error, ssl.SSLError):
        return SessionError(
            f"The TLS certificate of {where} was not accepted: {error}",
            todo="Set vcthumbprint or ca_file to the server's certificate",
            id="certificate-refused",
        )
    if isinstance(error, UnicodeError) and not isinstance(error, UnicodeDecodeError):
        text = f"{server.host} cannot be a host's name"
    elif type(error) is http.client.HTTPException or not isinstance(error, _UNREACHABLE):
        # pyVmomi's HTTPException has the status of an answer, its bare Exception says nothing.
        reason = "" if type(error) is Exception else f": {text}"
        return SessionError(
            f"{where} does not answer as a vCenter or an ESXi host does{reason}",
            todo="Check vcserver and vcport. If the server is starting, try again in some minutes",
            id="server-not-vsphere",
        )
    return SessionError(
        f"{where} cannot be reached: {text}",
        todo="Check vcserver and vcport",
        id="server-unreachable",
    )
