# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The mover's own process: NBD on one side, a segment on the other. Not for use in bareos-fd."""
