# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import os
import time
from pathlib import Path

from bareos_vmsnap.fd.disk_log import FOLDER, DiskLog


def test_a_log_is_kept_where_that_is_wanted_and_something_is_in_it(tmp_path: Path) -> None:
    log = DiskLog(tmp_path, "job.1")
    assert log.close(keep=True) == ""
    path = Path(log.prepare())
    assert path == tmp_path / FOLDER / "job.1.log"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.touch()
    assert (log.close(keep=True), path.exists()) == ("", False)
    path.write_text("messages")
    assert (str(path) in log.close(keep=True), path.exists()) == (True, True)
    assert (log.close(keep=False), path.exists()) == ("", False)


def test_logs_of_a_month_ago_are_removed(tmp_path: Path) -> None:
    old, young = DiskLog(tmp_path, "old"), DiskLog(tmp_path, "young")
    for log, days in ((old, 31), (young, 29)):
        log.prepare()
        log.path.write_text("messages")
        moment = time.time() - days * 86400
        os.utime(log.path, (moment, moment))
    DiskLog(tmp_path, "new").prepare()
    assert (old.path.exists(), young.path.exists()) == (False, True)
