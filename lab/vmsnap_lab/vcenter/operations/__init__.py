# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What clients can do with the objects of the inventory: one function for each SOAP method."""
