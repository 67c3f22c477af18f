# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Bareos: a full job in a real Bareos, with TLS and without, against its bpipe plugin."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Union

from tests.bareos import installation
from tests.bench.bench import Bench
from tests.bench.daemons import Daemons
from tests.bench.figures import Figure, Skipped, peak, wall
from tests.bench.site import BenchSite

VM = "big"


def run(bench: Bench) -> Iterator[Union[Figure, Skipped]]:
    """The plugin has to read and pack the disk; bpipe gets `cat` of the bytes stored before."""
    try:
        found = installation.find()
    except installation.NotInstalled as missing:
        yield Skipped("bareos", "a full job", str(missing))
        return
    image, segment = bench.warm_mix(bench.size), bench.segment(bench.size)
    site = BenchSite(bench.folder("bareos"))
    try:
        site.fill(site.create(VM, [bench.size]), image)
        for tls in (True,) if bench.quick else (False, True):
            with bench.memory_folder("volumes") as volumes:
                daemons = Daemons(found, site.lab, [VM], volumes=volumes, tls=tls, piped=segment)
                try:
                    yield from _compared(bench, daemons, "on" if tls else "off")
                finally:
                    daemons.close()
    finally:
        site.close()


def _compared(bench: Bench, daemons: Daemons, tls: str) -> Iterator[Figure]:
    subjects = {
        f"plugin, TLS {tls}": partial(daemons.job, f"backup-vm-{VM}"),
        f"bpipe, TLS {tls}": partial(daemons.job, "bpipe"),
    }
    ours, theirs = bench.compare("bareos", subjects, min(2, bench.rounds)).values()
    note = f"{wall(ours):.1f} s against {wall(theirs):.1f} s; {ours[0].more['encryption']}"
    yield Figure(
        "bareos", f"time, TLS {tls}", wall(ours) / wall(theirs), "bpipe with cat", 1.05,
        at_most=True, note=note,
    )  # fmt: skip
    above = peak(ours, "bareos-fd") - daemons.idle_memory / (1 << 20)
    yield Figure(
        "bareos", f"memory of bareos-fd, TLS {tls}", above, "before its first job", 60,
        at_most=True, unit="MiB",
    )  # fmt: skip
