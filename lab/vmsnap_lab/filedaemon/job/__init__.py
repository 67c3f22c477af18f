# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What runs inside the process of one job: the file daemon's side of it, and the plugin."""
