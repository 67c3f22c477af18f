# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From options to the target of a restore."""

from __future__ import annotations

from pathlib import Path

from bareos_vmsnap import errors
from bareos_vmsnap.fd import connection
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.messages import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.fd.relocation import RelocationBlock
from bareos_vmsnap.target.base import Target
from bareos_vmsnap.target.new_vm import NewVm, Wish
from bareos_vmsnap.target.qcow2_directory import Qcow2Directory
from bareos_vmsnap.tree import model


def make(
    chosen: Options,
    tree: model.BlockTree,
    point: model.TimePoint,
    job_info: JobInfo,
    log: JobLog,
) -> Target:
    """The target the options name. Raises errors.VmsnapError."""
    if chosen.restore_target == "directory":
        if not chosen.restore_directory:
            raise errors.OptionError("restore_target=directory needs restore_directory")
        return Qcow2Directory(Path(chosen.restore_directory), tree)
    session = connection.connect(chosen)
    access = connection.disk_access(
        chosen, session, job_info.working_directory, job_info.unique_name
    )
    wish = _wish(chosen, tree, point)
    return NewVm(
        session,
        tree,
        access,
        RelocationBlock(chosen, access, job_info, log),
        wish,
        job_info.unique_name,
        job_info.cancel,
        log.info,
        log.warn,
    )


def _wish(chosen: Options, tree: model.BlockTree, point: model.TimePoint) -> Wish:
    vm = tree.vm
    powerstate = chosen.restore_powerstate
    if powerstate == "previous":
        powerstate = "on" if point.power_state == "poweredOn" else "off"
    return Wish(
        name=chosen.vmname or vm.name,
        dc=chosen.dc or vm.dc,
        folder=chosen.folder if chosen.dc or chosen.folder != "/" else vm.folder,
        old_host=vm.host,
        change_tracking=tree.nodes[point.state].change_tracking,
        datastore=chosen.restore_datastore,
        host=chosen.restore_esxhost,
        cluster=chosen.restore_cluster,
        resourcepool=chosen.restore_resourcepool,
        powerstate=powerstate,
        poweron_timeout=chosen.poweron_timeout,
    )
