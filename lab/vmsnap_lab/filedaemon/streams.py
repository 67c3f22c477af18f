# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a job's records on a volume are, with the numbers Bareos gives them."""

from __future__ import annotations

UNIX_ATTRIBUTES = 1
FILE_DATA = 2
SPARSE_DATA = 6
PLUGIN_NAME = 26
RESTORE_OBJECT = 28
ACL_PLUGIN = 1020
XATTR_PLUGIN = 1988

BLOCK = 262144  # bytes the core reads or writes at once
ADDRESS = 8  # bytes of the file address before each block of sparse data
BEFORE_DATA = {FILE_DATA: 0, SPARSE_DATA: ADDRESS}  # bytes of a record that are not the file's
