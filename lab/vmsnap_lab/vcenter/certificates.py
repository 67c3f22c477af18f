# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The simulation's own certificate authority, and the server's certificate from it."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

DAYS = "3650"
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
_SERVER_EXTENSIONS = """\
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost,IP:127.0.0.1
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


class Certificates(NamedTuple):
    ca: Path
    server: Path
    key: Path

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the server's certificate, as vSphere shows it: `AA:BB:...`."""
        der = ssl.PEM_cert_to_DER_cert(self.server.read_text())
        digest = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
        return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.key)
        return context


def ensure(folder: Path) -> Certificates:
    """The certificates in a folder, made with the openssl command if they are missing.

    Raises subprocess.CalledProcessError with openssl's output if that fails.
    """
    certificates = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if not all(path.exists() for path in certificates):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_authority(folder)
        _make_server(folder)
    return certificates


def _make_authority(folder: Path) -> None:
    _openssl(
        folder,
        "req",
        "-x509",
        *_KEY,
        *("-keyout", "ca.key", "-out", "ca.pem", "-days", DAYS),
        *("-subj", "/O=bareos-vmsnap/CN=bareos-vmsnap lab CA"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )


def _make_server(folder: Path) -> None:
    (folder / "server.ext").write_text(_SERVER_EXTENSIONS)
    _openssl(
        folder,
        "req",
        "-new",
        *_KEY,
        *("-keyout", "server.key", "-out", "server.csr"),
        *("-subj", "/O=bareos-vmsnap/CN=localhost"),
    )
    _openssl(
        folder,
        "x509",
        "-req",
        *("-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "server.pem", "-days", DAYS, "-extfile", "server.ext"),
    )


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["openssl", *arguments],
        cwd=folder,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        umask=0o077,
    )
