# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The HTTPS server in a thread."""

from __future__ import annotations

import logging
import socket
import socketserver
import ssl
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any, Optional

from vmsnap_lab.vcenter.soap.dispatch import SoapDispatcher
from vmsnap_lab.vcenter.vcenter import VCenter
from vmsnap_lab.vcenter.web.handler import Handler

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"


class _Listener(ThreadingHTTPServer):
    """Knows its connections, so that a server that stops takes them down with it."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, context: ssl.SSLContext, vcenter: VCenter) -> None:
        self.vcenter = vcenter
        self.dispatcher = SoapDispatcher(vcenter)
        self._context = context
        self._connections: set[Any] = set()
        self._lock = threading.Lock()
        super().__init__((ADDRESS, port), Handler)

    def server_bind(self) -> None:
        """Without a look-up of the address' name, which fails on a bare system."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def get_request(self) -> Any:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The handshake waits for the client: it is done in the connection's own thread.
        wrapped = self._context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        with self._lock:
            self._connections.add(wrapped)
        return wrapped, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break, by clients or by habit: that is no error of the server."""
        if not isinstance(sys.exc_info()[1], OSError):
            log.exception("The simulation failed for %s", client_address)

    def drop_connections(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # gone already


class WebServer:
    """start and stop may be called again and again; the port stays the same."""

    def __init__(self, vcenter: VCenter, context: ssl.SSLContext, port: int = 0) -> None:
        self._vcenter = vcenter
        self._context = context
        self._listener: Optional[_Listener] = None
        self._thread: Optional[threading.Thread] = None
        self.host = ADDRESS
        self.port = port

    def start(self) -> None:
        """Raises OSError if the port is taken."""
        if self._listener is not None:
            return
        self._listener = _Listener(self.port, self._context, self._vcenter)
        self.port = self._listener.server_address[1]
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="lab-vcenter",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and break all connections: the vCenter is gone for its clients."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown()
        self._listener.server_close()
        self._listener.drop_connections()
        self._thread.join()
        self._listener = self._thread = None
