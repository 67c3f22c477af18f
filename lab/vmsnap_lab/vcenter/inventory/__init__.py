# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The inventory: datacenters, folders, hosts, pools, datastores, networks; searches in it."""
