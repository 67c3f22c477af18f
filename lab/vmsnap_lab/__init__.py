# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A simulated vCenter with real disks, and a loopback file daemon: for tests, trials, the demo."""

__version__ = "0.2.0"
