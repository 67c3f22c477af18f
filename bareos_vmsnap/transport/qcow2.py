# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Transport qcow2: a local image with its backing chain, served by qemu-nbd."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bareos_vmsnap.transport import server
from bareos_vmsnap.transport.disks import Qcow2Disk
from bareos_vmsnap.transport.endpoint import Endpoint, TransportError

CONNECTIONS = 16

# qemu allocates a buffer for each request and returns it to the kernel, which costs more than
# copying the data. With these glibc settings it keeps the memory (mallopt(3)).
KEEP_BUFFERS = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


@contextmanager
def serve(disk: Qcow2Disk, *, writable: bool) -> Iterator[Endpoint]:
    """Yield the endpoint of an image. Raises TransportError."""
    path = disk.path
    if writable and disk.readonly:
        raise TransportError(f"transport qcow2: {path} is described as read-only")
    if not os.path.isabs(path):
        raise TransportError(f"transport qcow2: path {path} is not absolute")
    if not os.path.exists(path):
        raise TransportError(f"transport qcow2: image {path} does not exist", id="image-missing")
    image = _image_options(path, disk.format)

    def command(files: server.Files) -> list[str]:
        return [
            "qemu-nbd",
            "--persistent",
            f"--shared={CONNECTIONS}",
            f"--socket={files.socket}",
            f"--pid-file={files.pid_file}",
            *([] if writable else ["--read-only"]),
            "--image-opts",
            image,
        ]

    def environment(files: server.Files) -> Mapping[str, str]:
        return {**os.environ, **KEEP_BUFFERS}

    with server.run(command, package="qemu-utils", environment=environment) as running:
        yield Endpoint(running.uri, f"image {path}", CONNECTIONS, running.log)


def _image_options(path: str, image_format: str) -> str:
    # Image options take file names as they are; a plain argument could be read as a protocol.
    def escaped(text: str) -> str:
        return text.replace(",", ",,")

    return f"driver={escaped(image_format)},file.driver=file,file.filename={escaped(path)}"
