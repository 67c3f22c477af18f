# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Datastores of the simulated vCenter: qcow2 chains, what was written to them, doors to them."""

from __future__ import annotations

from bareos_vmsnap.lab.storage.doors import Door, Refusal
from bareos_vmsnap.lab.storage.errors import StorageError
from bareos_vmsnap.lab.storage.store import DiskStore
from bareos_vmsnap.lab.storage.tracking import CbtHabits, Extent

__all__ = ["CbtHabits", "DiskStore", "Door", "Extent", "Refusal", "StorageError"]
