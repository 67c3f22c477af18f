# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What starting and watching processes of our own takes (standard library only).

Used in bareos-fd and in the processes that it starts.
"""
