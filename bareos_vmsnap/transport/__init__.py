# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How a disk of a snapshot becomes an NBD endpoint.

bareos-fd makes descriptions (access, disks); a mover opens them (everything else).
"""

from bareos_vmsnap.transport.endpoint import Endpoint, TransportError
from bareos_vmsnap.transport.registry import open_endpoint as open

__all__ = ["Endpoint", "TransportError", "open"]
