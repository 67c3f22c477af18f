# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What client and fork server say to each other about one mover, on its handle, a socket."""

# The client: send the mover that signal.
TERMINATE, KILL = b"t", b"k"
# The fork server, each followed by a number.
PID, STATUS = b"pid ", b"status "
