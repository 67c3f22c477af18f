# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VDDK for the lab: a libvixDiskLib of its own for nbdkit's vddk plugin, and what stands behind it.

The library (libvixDiskLib/*.c) asks the lab about everything that a vSphere decides, through a
unix socket, and reads and writes disks at the lab's doors without asking further. The lab is as
strict as VDDK is documented or was observed to be; see `habits` for what can be switched.
"""

from vmsnap_lab.vddk.calls import LibraryCall, Process
from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.vddk import Vddk
from vmsnap_lab.vddk.vix_errors import VixError

__all__ = ["LibraryCall", "Process", "Vddk", "VddkHabits", "VixError"]
