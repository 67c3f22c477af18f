# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Keeps vCenter from moving a VM's files while a job works on them (Storage vMotion).

VDDK's PrepareForAccess and EndAccess do that; nbdkit does not call them. They are called in their
own process, `vmsnap-block`: VMware's library belongs neither in bareos-fd nor in a mover.
"""
