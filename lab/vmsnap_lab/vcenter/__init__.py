# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A simulated vCenter: SOAP over TLS to an unmodified pyVmomi, real disks behind it.

From the top, each knowing only what is below it (tests/lab/test_imports.py has the table):

web: HTTPS, for SOAP and for files of datastores.
vcenter: the parts put together. soap: requests decoded, dispatched and answered with pyVmomi's
own type tables.
operations: what clients can do with VMs, snapshots and folders of VMs.
snapshots: creating, deleting, renaming and reverting to them.
vm: a VM with its snapshot tree, hardware and files, and what becomes of it.
inventory: datacenters, folders, hosts, datastores, networks. collector: PropertyCollector.
services: sessions, rights, events, tasks, views.
entity, properties, managed: what managed objects are. world: what they share. registry,
door_keeper, datastore_files: the objects by id, and the ways to their disks and files.

Below all of them is the storage, with the disks. What a class does not simulate, its docstring
lists; it raises NotSupported.
"""

from __future__ import annotations

from vmsnap_lab.vcenter.habits import Habits

__all__ = ["Habits"]
