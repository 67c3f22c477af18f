# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What all objects of the inventory rely on: sessions, rights, events, tasks; and views of it."""
