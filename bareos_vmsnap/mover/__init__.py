# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The data plane: moves blocks between an NBD server and a segment stream, in its own process.

`client` starts the process (standard library only, for use inside bareos-fd); `child` runs in it;
the modules here are for both.
"""
