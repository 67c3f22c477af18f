# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Names of the methods that find extents, as in manifests, segment headers and mover plans.

See docs/how-it-works.md, "Choosing a base".
"""

CBT = "cbt"
ALLOCATED = "allocated"
COMPARE = "compare"
LINK = "link"
FULL = "full"
# Not a segment's method: what an audit compares is discarded.
AUDIT = "audit"

ALL = (CBT, ALLOCATED, COMPARE, LINK, FULL, AUDIT)
