# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Transport vddk: a disk of a VM through VMware's VDDK, served by nbdkit's vddk plugin.

One nbdkit serves one disk; each NBD connection has its own VDDK connection.
"""

from bareos_vmsnap.transport.vddk.serve import serve

__all__ = ["serve"]
