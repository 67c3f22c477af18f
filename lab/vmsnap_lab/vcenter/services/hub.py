# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The managers that everything above them relies on."""

from __future__ import annotations

from vmsnap_lab.vcenter.services.authorization import AuthorizationManager
from vmsnap_lab.vcenter.services.events import EventManager
from vmsnap_lab.vcenter.services.sessions import SessionManager
from vmsnap_lab.vcenter.services.tasks import TaskManager
from vmsnap_lab.vcenter.world import World


class ServiceHub(World):
    """The world, with who is logged in, who may do what, what happened, and what is running."""

    sessions: SessionManager
    authorization: AuthorizationManager
    events: EventManager
    tasks: TaskManager
