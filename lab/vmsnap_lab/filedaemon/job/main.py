# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The process of one job."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Union

from vmsnap_lab.filedaemon import frames
from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import (
    accurate,
    backup,
    control,
    director,
    estimate,
    interpreter,
    interrupt,
    plugin,
    restore,
    storage,
    trace,
)

_OURS = frozenset({__name__.partition(".")[0], "xxhash"})  # modules that the loopback brings


def main(director_socket: int, storage_socket: int) -> None:
    """Serve the Director and the storage at the other ends of two inherited sockets."""
    director_channel = frames.Channel(socket.socket(fileno=director_socket))
    storage_channel = frames.Channel(socket.socket(fileno=storage_socket))
    for inherited in (director_socket, storage_socket):
        os.set_inheritable(inherited, False)
    try:
        _run(director.Director(director_channel), storage_channel)
    except Exception:  # noqa: BLE001 - any failure is reported to the Director
        director_channel.send(frames.BROKEN, traceback.format_exc().encode())


def _run(dir_: director.Director, storage_channel: frames.Channel) -> None:
    orders = dir_.receive_orders()
    sd = _storage(orders.job, storage_channel)
    jcr = control.JobControl(orders.job, dir_.channel)
    core_io = interrupt.CoreIo()
    python = plugin.Plugin(jcr, trace.Trace(dir_.channel))
    if orders.job.clock_ahead:
        interpreter.set_clock(orders.job.clock_ahead)
    if orders.job.host_name:
        interpreter.set_host_name(orders.job.host_name)
    _enter_plugin_environment()
    dir_.listen_for_cancel(jcr, python, sd, core_io)
    if isinstance(sd, storage.Loading):
        _load_for_restore(orders, python)
        if not jcr.is_stopped():
            restore.Restore(jcr, python, sd, core_io).run()
    else:
        _load_for_backup(orders, jcr, python)
        if isinstance(sd, storage.Saving):
            if not jcr.is_stopped():
                backup.Backup(jcr, python, sd, core_io).run()
        else:
            estimate.run(jcr, python, sd)
    end = {"status": jcr.status, "errors": jcr.errors, "files": jcr.files, "bytes": jcr.bytes}
    python.raise_event(bareosfd.bEventJobEnd)
    sd.close()
    jcr.hazards.extend(interpreter.unfit_modules())
    dir_.channel.send_json(frames.END, {**end, "hazards": jcr.hazards})


def _storage(
    job: control.JobDefinition, channel: frames.Channel
) -> Union[storage.Listing, storage.Loading]:
    if job.kind == "restore":
        return storage.Loading(channel)
    if job.kind == "estimate":
        return storage.Listing(channel)
    return storage.Saving(channel, Path(job.volume), watched=job.watched)


def _load_for_backup(
    orders: director.ReceivedOrders, jcr: control.JobControl, python: plugin.Plugin
) -> None:
    """The FileSet, the restore objects of the previous job, the list of files it left."""
    jcr.accurate = orders.files is not None
    for line in orders.job.plugins:
        if line.partition(":")[0] in plugin.NAMES and not jcr.is_stopped():
            python.parse_definition(line)
    python.raise_event(bareosfd.bEventEndFileSet)
    for restored in orders.objects:
        python.restore_object_data(restored)
    if orders.files is not None:
        python.core.file_list = accurate.FileList(orders.files)


def _load_for_restore(orders: director.ReceivedOrders, python: plugin.Plugin) -> None:
    options = orders.job.plugin_options
    if options.partition(":")[0] in plugin.NAMES:  # others are for other plugins
        python.push_options(options)
    for restored in orders.objects:
        python.restore_object_data(restored)


def _enter_plugin_environment() -> None:
    """What the plugin finds: bareosfd, "/" as working directory, nothing of the loopback."""
    interpreter.confine()
    sys.modules["bareosfd"] = bareosfd
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    sys.argv = [""]
    os.chdir("/")
