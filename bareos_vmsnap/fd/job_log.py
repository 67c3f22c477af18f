# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the parts of a job expect of the job log; needs nothing of Bareos."""

from __future__ import annotations

from typing import Protocol


class JobLog(Protocol):
    """Takes messages for the job log.

    `id` says which message it is (see errors), `causes` are the ids of what led to it.
    """

    failed: bool

    def info(self, text: str) -> None:
        """A remark."""

    def warn(self, id: str, text: str, *causes: str) -> None:
        """Something that may need a look."""

    def error(self, id: str, text: str, *causes: str) -> None:
        """Something that needs an admin, although all data is safe."""

    def fatal(self, id: str, text: str, *causes: str) -> None:
        """The job must not end OK."""

    def failure(self, error: BaseException) -> None:
        """Fail the job with this exception, as a message for an admin."""
