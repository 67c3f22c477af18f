# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From options to the target of a restore."""

from __future__ import annotations

from pathlib import Path

from bareos_vmsnap import errors
from bareos_vmsnap.fd import vcenter_connection
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.fd.relocation import RelocationBlock
from bareos_vmsnap.target.base import Target
from bareos_vmsnap.target.destination import Destination
from bareos_vmsnap.target.new_vm import NewVm
from bareos_vmsnap.target.qcow2_directory import Qcow2Directory
from bareos_vmsnap.tree import model


def make(
    options: Options,
    tree: model.BlockTree,
    point: model.TimePoint,
    job_info: JobInfo,
    log: JobLog,
) -> Target:
    """The target the options name. Raises errors.VmsnapError."""
    if options.restore_target == "directory":
        if not options.restore_directory:
            raise errors.OptionError(
                "restore_target=directory needs restore_directory", id="option-missing"
            )
        return Qcow2Directory(Path(options.restore_directory), tree)
    session = vcenter_connection.connect(options)
    access = vcenter_connection.disk_access(
        options, session, job_info.working_directory, job_info.unique_name
    )
    destination = _destination(options, tree, point)
    return NewVm(
        session,
        tree,
        access,
        RelocationBlock(options, access, job_info, log),
        destination,
        job_info.unique_name,
        job_info.cancel,
        log.info,
        log.warn,
    )


def _destination(options: Options, tree: model.BlockTree, point: model.TimePoint) -> Destination:
    vm = tree.vm
    powerstate = options.restore_powerstate
    if powerstate == "previous":
        powerstate = "on" if point.power_state == "poweredOn" else "off"
    return Destination(
        name=options.vmname or vm.name,
        dc=options.dc or vm.dc,
        folder=options.folder if options.dc or options.folder != "/" else vm.folder,
        old_host=vm.host,
        change_tracking=tree.nodes[point.state].change_tracking,
        datastore=options.restore_datastore,
        host=options.restore_esxhost,
        cluster=options.restore_cluster,
        resourcepool=options.restore_resourcepool,
        powerstate=powerstate,
        poweron_timeout=options.poweron_timeout,
    )
