# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The module bareos-fd loads: `module_name=bareos-fd-vmsnap`."""

from BareosFdWrapper import *  # noqa: F403 - Bareos looks up its entry points in this module
from BareosFdWrapper import BareosPlugin

from bareos_vmsnap.fd.plugin import VmsnapPlugin

BareosPlugin(VmsnapPlugin)
