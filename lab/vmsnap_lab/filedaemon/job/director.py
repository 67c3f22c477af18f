# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The job's connection to the Director: its orders, and the cancel that may come at any time."""

from __future__ import annotations

import _thread
from dataclasses import dataclass, field
from typing import Optional

from vmsnap_lab.filedaemon import frames
from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import control, interrupt, items, plugin, storage


@dataclass
class ReceivedOrders:
    """What to do, and what the catalog has for it. `files` are the previous jobs' (Accurate)."""

    job: control.JobDefinition
    objects: list[items.RestoredObject] = field(default_factory=list)
    files: Optional[dict[str, dict[str, int]]] = None


class Director:
    """The other end of the job's control connection."""

    def __init__(self, channel: frames.Channel) -> None:
        self.channel = channel

    def receive_orders(self) -> ReceivedOrders:
        orders: Optional[ReceivedOrders] = None
        while True:
            frame = self.channel.receive()
            if frame is None:
                raise ConnectionError("the Director went away before the job began")
            kind, content = frame
            if kind == frames.JOB:
                values, _ = frames.parse_json(content)
                orders = ReceivedOrders(control.JobDefinition(**values))
            elif kind == frames.START:
                if orders is None:
                    raise ValueError("no job to start")
                return orders
            elif orders is not None and kind == frames.OBJECT:
                values, data = frames.parse_json(content)
                orders.objects.append(items.RestoredObject(**values, data=data))
            elif orders is not None and kind == frames.FILES:
                orders.files, _ = frames.parse_json(content)

    def listen_for_cancel(
        self,
        jcr: control.JobControl,
        python: plugin.Plugin,
        sd: storage.Storage,
        core_io: interrupt.CoreIo,
    ) -> None:
        """On a thread the plugin's interpreter does not know, as in bareos-fd."""

        def listen() -> None:
            frame = self.channel.receive()
            if frame is None or frame[0] != frames.CANCEL or jcr.is_stopped():
                return
            python.raise_event(bareosfd.bEventCancelCommand)
            jcr.set_status("A")
            sd.cut_off()
            core_io.interrupt()

        _thread.start_new_thread(listen, ())
