# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""python3 -m bareos_vmsnap.relocation_block: started by its module client only."""

import sys

from bareos_vmsnap.relocation_block import process

process.main(sys.argv[1:])
