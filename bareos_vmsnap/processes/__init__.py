# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Tools for starting and watching our own processes (standard library only).

Used in bareos-fd and in the processes that it starts.
"""
