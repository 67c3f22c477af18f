# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""python3 -m bareos_vmsnap.mover.child: started by bareos_vmsnap.mover.client only."""

import sys

from bareos_vmsnap.mover.child import process

process.main(sys.argv[1:])
