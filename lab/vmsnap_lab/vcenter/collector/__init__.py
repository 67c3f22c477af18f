# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""PropertyCollector: reading many properties at once, and waiting for changes."""
