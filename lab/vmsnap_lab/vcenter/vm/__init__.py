# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Virtual machines: configuration, hardware, files, snapshot trees; what becomes of them."""
