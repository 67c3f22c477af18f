# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The messages between client and fork server about one mover, on its handle (a socket)."""

# From the client: send the mover this signal.
TERMINATE, KILL = b"t", b"k"
# From the fork server, each followed by a number.
PID, STATUS = b"pid ", b"status "
