# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A plugin that does nothing, for long enough to be looked at."""

from __future__ import annotations

import time
from typing import Any

import bareosfd
import BareosFdPluginBaseclass
from BareosFdWrapper import *  # noqa: F403
from BareosFdWrapper import BareosPlugin

SECONDS = 0.5


@BareosPlugin
class Idler(BareosFdPluginBaseclass.BareosFdPluginBaseclass):
    def start_backup_job(self) -> Any:
        time.sleep(SECONDS)
        return bareosfd.bRC_OK
