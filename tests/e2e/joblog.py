# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What jobs said and how they ended."""

from __future__ import annotations

import re

from vmsnap_lab.filedaemon import JobResult

_IDS = re.compile(r" \[[a-z0-9-]+(, [a-z0-9-]+)*\]$")


def said(job: JobResult, *types: str) -> list[str]:
    """The plugin's messages, without its prefix: of these message types, or all."""
    return [
        m.text.partition("vmsnap: ")[2]
        for m in job.messages
        if m.origin == "plugin" and (not types or m.type in types)
    ]


def log(job: JobResult) -> str:
    """The whole job log."""
    return "\n".join(f"{m.type} {m.text}" for m in job.messages)


def check_ok(job: JobResult) -> None:
    """The job ended well, without a warning, and did nothing that endangers a file daemon."""
    assert job.status == "T", log(job)
    assert said(job, "M_WARNING", "M_ERROR", "M_FATAL") == [], log(job)
    assert (job.crash, job.hazards) == (None, ()), log(job)


def check_failed(job: JobResult, pattern: str) -> str:
    """The job failed with exactly one fatal message, which fits; return that message."""
    fatal = said(job, "M_FATAL")
    assert (job.status, len(fatal), job.crash) == ("f", 1, None), log(job)
    assert re.search(pattern, fatal[0]), fatal[0]
    assert _IDS.search(fatal[0].rstrip()), fatal[0]
    assert "fault of bareos-vmsnap" not in fatal[0]
    return fatal[0]


def methods(job: JobResult) -> dict[tuple[str, str], str]:
    """What a backup's table says: (node, disk) -> method; nodes by the name of their snapshot."""
    (table,) = (text for text in said(job, "M_INFO") if "what was sent:" in text)
    rows = [re.split(r"  +", row.strip()) for row in table.splitlines()[2:]]
    return {(_node(row[0]), row[1]): row[3] for row in rows}


def reasons(job: JobResult) -> dict[tuple[str, str], str]:
    """The same with the reasons."""
    (table,) = (text for text in said(job, "M_INFO") if "what was sent:" in text)
    rows = [re.split(r"  +", row.strip()) for row in table.splitlines()[2:]]
    return {(_node(row[0]), row[1]): row[-1] for row in rows}


def _node(directory: str) -> str:
    found = re.fullmatch(r"s\d{4}-(.*)", directory)
    return found.group(1) if found else "now"
