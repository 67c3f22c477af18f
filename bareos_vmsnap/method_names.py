# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Names of the methods that find extents, as in manifests, segment headers and mover plans.

See docs/how-it-works.md, "Choosing a base".
"""

from __future__ import annotations

from typing import Final, Literal

Method = Literal["cbt", "allocated", "compare", "link", "full", "audit"]

CBT: Final = "cbt"
ALLOCATED: Final = "allocated"
COMPARE: Final = "compare"
LINK: Final = "link"
FULL: Final = "full"
# Not a segment's method: what an audit compares is discarded.
AUDIT: Final = "audit"
