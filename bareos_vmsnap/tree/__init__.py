# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The block tree of a VM: nodes, segments, time points; planning a backup and a restore (pure)."""
