# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the snapshot's own delta file holds, opened without its parents.

VMware promises that only for local disks (see VDDK's single-link option): off by default.
"""

from __future__ import annotations

from bareos_vmsnap import errors
from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.mover import client
from bareos_vmsnap.tree.method_ladder import Rung


class NoLinkError(errors.VmsnapError):
    """A snapshot's own file cannot be opened without its parents."""

    id = "no-link"


def find(edge: DiskEdge, rung: Rung) -> Reading:
    """Raises NoLinkError, errors.Canceled."""
    reader = edge.reader
    if not reader.opens_single_links:
        raise NoLinkError("no link: transport=nbd needs nbd_link_uri for it")
    link = reader.describe(edge.task.snapshot, edge.disk, single_link=True)
    found = Reading(rung, (), edge.disk.capacity, link=link)
    with client.Mover.read(edge.plan(found), launcher=reader.launcher) as mover:
        try:
            mover.wait_ready(client.OPEN_TIMEOUT, canceled=reader.canceled)
        except client.MoverError as error:
            if reader.canceled():
                raise errors.Canceled("The backup was canceled") from error
            raise NoLinkError(f"no link: {error.reason}") from error
    return found
