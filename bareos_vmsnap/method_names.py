# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How a segment's extents were found: the words in manifests, segment headers and movers' plans.

See docs/how-it-works.md, "Choosing a base".
"""

CBT = "cbt"
ALLOCATED = "allocated"
COMPARE = "compare"
LINK = "link"
FULL = "full"
# Not a segment's: what an audit compares is thrown away.
AUDIT = "audit"
