# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""TLS contexts that remember the server's certificate, and can accept only a pinned one.

pyVmomi's own `thumbprint` does not do that: it looks at the certificate only if the ordinary
verification has failed, and from then on verifies nothing with the same context.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
from typing import Any, Optional

_DIGESTS = {40: hashlib.sha1, 64: hashlib.sha256, 128: hashlib.sha512}


class NotPinnedError(ssl.SSLError):
    """The server's certificate is not the pinned one."""


class SeeingContext(ssl.SSLContext):
    """Remembers the certificate of the last server that was verified, as DER, in `seen`."""

    seen: Optional[bytes] = None

    @classmethod
    def trusting(cls, ca_file: Optional[str], verify: bool = True) -> SeeingContext:
        """A context that verifies against the CAs of a PEM file or the system's, or not at all.

        Raises OSError if the file cannot be used.
        """
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        if ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=ca_file)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Like the base class's, for connected sockets."""
        wrapped = super().wrap_socket(*arguments, **options)
        self.seen = wrapped.getpeercert(binary_form=True)
        return wrapped


class PinnedContext(SeeingContext):
    """Checks the server's certificate at the end of every handshake, before anything is sent."""

    _thumbprint: str

    @classmethod
    def of(cls, thumbprint: str) -> PinnedContext:
        """A context for the certificate with this digest (SHA-1, SHA-256 or SHA-512, hexadecimal).

        Raises ValueError for anything else.
        """
        digits = thumbprint.replace(":", "").lower()
        if len(digits) not in _DIGESTS:
            raise ValueError(f"{thumbprint} is no SHA-1, SHA-256 or SHA-512 digest")
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context._thumbprint = digits
        return context

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Like the base class's, for connected sockets. Raises NotPinnedError."""
        wrapped = super().wrap_socket(*arguments, **options)
        certificate, self.seen = self.seen or b"", None
        digest = _DIGESTS[len(self._thumbprint)](certificate).hexdigest()
        if not hmac.compare_digest(digest, self._thumbprint):
            wrapped.close()
            raise NotPinnedError(f"its digest is {digest}, the pinned one {self._thumbprint}")
        self.seen = certificate
        return wrapped
