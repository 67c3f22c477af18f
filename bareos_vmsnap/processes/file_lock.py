# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Locks on files, which the kernel frees when their process ends, whatever the cause."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Optional, Union


def lock(path: Union[str, Path], *, wait: bool = False) -> Optional[int]:
    """Lock a directory, or a file, which is made if missing; return a descriptor.

    Closing it frees the lock. None if another process has the lock, unless `wait`. Raises OSError.
    """
    kind = os.O_RDONLY | os.O_DIRECTORY if os.path.isdir(path) else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, kind | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
