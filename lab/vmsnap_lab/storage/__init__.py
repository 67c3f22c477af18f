# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Datastores of the simulated vCenter: qcow2 chains, what was written to them, doors to them."""

from __future__ import annotations

from vmsnap_lab.storage.cbt_tracking import Extent
from vmsnap_lab.storage.doors import Door, Refusal
from vmsnap_lab.storage.errors import StorageError
from vmsnap_lab.storage.habits import CbtHabits, FileHabits
from vmsnap_lab.storage.store import DiskStore

__all__ = ["CbtHabits", "DiskStore", "Door", "Extent", "FileHabits", "Refusal", "StorageError"]
