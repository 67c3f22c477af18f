# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""`python3 -m bareos_vmsnap.cli` is the command vmsnap if no script of that name is installed."""

from bareos_vmsnap.cli.main import main

if __name__ == "__main__":
    main(prog_name="vmsnap")
