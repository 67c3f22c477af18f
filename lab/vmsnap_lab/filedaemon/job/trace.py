# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reports every call into the plugin to the Director, before and after."""

from __future__ import annotations

import itertools
import threading
from typing import Any, Optional

from vmsnap_lab.filedaemon import frames


class CallUnderWay:
    """A call under way. What it returned or raised is set by who makes it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.result: Optional[int] = None
        self.raised: Optional[str] = None
        self.outcome: dict[str, Any] = {}


class Trace:
    """Arguments and outcomes hold only what is the same in each run of the same job."""

    def __init__(self, director: frames.Channel) -> None:
        self._director = director
        self._numbers = itertools.count()
        self._job_thread = threading.get_ident()

    def enter(self, name: str, arguments: dict[str, Any]) -> CallUnderWay:
        call = CallUnderWay(next(self._numbers))
        thread = "job" if threading.get_ident() == self._job_thread else "cancel"
        entered = {"number": call.number, "name": name, "arguments": arguments, "thread": thread}
        self._director.send_json(frames.ENTER, entered)
        return call

    def leave(self, call: CallUnderWay) -> None:
        left = {
            "number": call.number,
            "result": call.result,
            "raised": call.raised,
            "outcome": call.outcome,
        }
        self._director.send_json(frames.LEAVE, left)
