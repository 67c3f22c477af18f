# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Backs up a VMware VM with its tree of user snapshots through Bareos and restores the tree."""

__version__ = "0.2.0"
