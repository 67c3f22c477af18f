# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A plugin that tells its options in the job log."""

from __future__ import annotations

from typing import Any

import bareosfd
import BareosFdPluginBaseclass
from BareosFdWrapper import *  # noqa: F403
from BareosFdWrapper import BareosPlugin


@BareosPlugin
class OptionsTeller(BareosFdPluginBaseclass.BareosFdPluginBaseclass):
    def start_backup_file(self, savepkt: Any) -> Any:
        for key, value in self.options.items():
            bareosfd.JobMessage(bareosfd.M_INFO, f"OPTION {key}={value}\n")
        return bareosfd.bRC_Stop
