# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""python3 -m bareos_vmsnap.hold: started by bareos_vmsnap.hold.client only."""

import sys

from bareos_vmsnap.hold import process

process.main(sys.argv[1:])
