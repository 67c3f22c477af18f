# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Keeps vCenter from moving a VM's files while a job works on them (Storage vMotion).

VDDK's PrepareForAccess and EndAccess do that, which nbdkit does not call. They are called in a process
of their own, `vmsnap-block`: VMware's library belongs neither into bareos-fd nor into a mover.
"""
