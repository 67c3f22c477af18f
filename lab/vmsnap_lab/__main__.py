# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""`python3 -m vmsnap_lab` is the command vmsnap-lab."""

from vmsnap_lab.cli.main import main

if __name__ == "__main__":
    main(prog_name="vmsnap-lab")
