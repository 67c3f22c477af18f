# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap demo: the demo of the lab."""

from bareos_vmsnap.lab.demo.__main__ import main as command

__all__ = ["command"]
