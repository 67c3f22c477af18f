# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The demo: a VM with a branching snapshot tree is backed up, destroyed, restored and compared."""
