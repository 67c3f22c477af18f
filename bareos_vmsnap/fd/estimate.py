# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""An estimate of what a full job would send, made without touching the VM."""

from __future__ import annotations

from collections.abc import Iterator

from bareos_vmsnap.fd import items, vcenter_connection
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.tree import method_ladder, names, plan_backup
from bareos_vmsnap.vsphere import layout, preflight, snapshots

_MANIFEST = 16384  # bytes; a guess for the smallest of all files


def files(options: Options, job_info: JobInfo) -> Iterator[items.Expected]:
    """The virtual files of a full backup of the VM as it is. Raises errors.VmsnapError.

    A segment's size is that of its node's own file on the datastore, before compression.
    """
    session = vcenter_connection.connect(options)
    try:
        vm = vcenter_connection.find_vm(session.content, options)
        preflight.check(vm, session.content)
        planned = plan_backup.plan(
            snapshots.observe_as_it_stands(session, vm),
            job_info.planned(),
            method_ladder.Policy(options.without_trust, options.use_cbt),
        )
        sizes = layout.disk_sizes(vm)
    finally:
        session.close()
    for task in planned.tasks:
        size = sizes.get(task.disk.path, task.disk.capacity)
        yield items.Expected(task.segment.name, min(size, task.disk.capacity))
    point = planned.point.id
    yield items.Expected(names.manifest(planned.tree.directory, point), _MANIFEST)
