# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A plugin that tells in the job log which values it gets."""

from __future__ import annotations

from typing import Any

import bareosfd
import BareosFdPluginBaseclass
from BareosFdWrapper import *  # noqa: F403
from BareosFdWrapper import BareosPlugin


def tell(moment: str) -> None:
    for key, variable in bareosfd.bVariable.items():
        if key != b"bVarCheckChanges":
            value = bareosfd.GetValue(variable)
            bareosfd.JobMessage(bareosfd.M_INFO, f"{moment} {key.decode()}={value!r}\n")


@BareosPlugin
class ValuesTeller(BareosFdPluginBaseclass.BareosFdPluginBaseclass):
    def __init__(self, plugindef: str) -> None:
        super().__init__(plugindef)
        tell("constructor")

    def start_backup_job(self) -> Any:
        tell("start")
        return bareosfd.bRC_OK
