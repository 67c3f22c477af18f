# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A restore as Bareos' WebUI makes it: the same commands in the same order, by a user of its own.

Commands as in webui/module/Restore and BareosBSock.php of Bareos 25: lists in JSON (API mode 2), the
restore itself as text (mode 0). The user has the profile webui-admin that Bareos ships.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any, Optional

from bareos.bsock import DirectorConsole, DirectorConsoleJson

from .bareos import Bareos
from .configuration import CLIENT

USER = "admin"
LONGEST_PLUGIN_OPTIONS = 128  # characters its form takes

# The WebUI speaks no TLS with pre-shared keys; its documentation switches TLS off on one machine.
RESOURCES = """Console {{
  Name = {user}
  Password = "{password}"
  Profile = webui-admin
  TLS Enable = no
}}
Profile {{
  Name = webui-admin
  Command ACL = !.bvfs_clear_cache, !.exit, !.sql, !configure, !create, !delete, !purge, !prune
  Command ACL = !sqlquery, !umount, !unmount, *all*
  Job ACL = *all*
  Schedule ACL = *all*
  Catalog ACL = *all*
  Pool ACL = *all*
  Storage ACL = *all*
  Client ACL = *all*
  FileSet ACL = *all*
  Where ACL = *all*
  Plugin Options ACL = *all*
}}
"""


class WebUi:
    """The Restore page. `transcript` holds every command and what the Director answered."""

    def __init__(self, bareos: Bareos) -> None:
        """Log in; the console resource is added if it is not there yet."""
        configuration = bareos.configuration
        resources = RESOURCES.format(user=USER, password=configuration.secret)
        configuration.add("console", USER, resources)
        bareos.reload()
        self.transcript: list[tuple[str, Any]] = []
        login = {
            "address": "127.0.0.1",
            "port": configuration.director_port,
            "name": USER,
            "password": configuration.secret,
            "tls_psk_enable": False,
        }
        self._lists, self._texts = DirectorConsoleJson(**login), DirectorConsole(**login)

    def backups(self, client: str = CLIENT) -> list[dict[str, Any]]:
        """The list "Backup jobs", the newest first."""
        answer = self._ask(f'llist backups client="{client}" fileset="any" order=desc')
        return list(answer["backups"])

    def where(self, restore_job: str = "restore-vm") -> str:
        """What stands in "Restore location on client" when the restore job was chosen."""
        return str(self._ask(f'.defaults job="{restore_job}"')["defaults"]["where"])

    def related(
        self, jobid: int, *, merge_filesets: bool = False, merge_jobs: bool = True
    ) -> list[int]:
        """The jobs a restore of this job takes, by the two "Merge" fields of the form."""
        if not merge_jobs:
            return [jobid]
        answer = self._ask(f".bvfs_get_jobids jobid={jobid}{' all' if merge_filesets else ''}")
        return [int(row["id"]) for row in answer["jobids"]]

    def directories(
        self, jobs: Sequence[int], path_id: Optional[int] = None
    ) -> dict[str, dict[str, Any]]:
        """Unfold a directory of the tree, or its root: directories by name."""
        place = "path=" if path_id is None else f"pathid={path_id}"
        command = f".bvfs_lsdirs jobid={_list(jobs)} {place} limit=1000 offset=0"
        found = self._ask(command).get("directories") or []
        if not found and path_id is None:  # names that do not begin with "/"
            found = self._ask(f".bvfs_lsdirs jobid={_list(jobs)} path=@ limit=1000")["directories"]
        return {row["name"].rstrip("/"): row for row in found if row["name"] not in (".", "..")}

    def files(self, jobs: Sequence[int], path_id: int) -> dict[str, dict[str, Any]]:
        """The files of a directory by name."""
        command = f".bvfs_lsfiles jobid={_list(jobs)} pathid={path_id} limit=1000 offset=0"
        return {row["name"]: row for row in self._ask(command).get("files") or []}

    def versions(self, path_id: int, name: str, client: str = CLIENT) -> list[dict[str, Any]]:
        """The page "Restore by version": every version of a file the catalog knows."""
        command = f'.bvfs_versions jobid=0 client={client} pathid={path_id} fname="{name}"'
        return list(self._ask(command)["versions"])

    def unfold(self, jobs: Sequence[int], *names: str) -> dict[str, Any]:
        """Unfold these directories one below the other; return the last one's row."""
        self._ask(f".bvfs_update jobid={_list(jobs)}")
        row: dict[str, Any] = {"pathid": None}
        for name in names:
            below = self.directories(jobs, row["pathid"])
            row = next(found for key, found in below.items() if re.fullmatch(name, key))
        return row

    def restore(
        self,
        jobs: Sequence[int],
        *,
        directories: Sequence[int] = (),
        files: Sequence[int] = (),
        where: str = "/",
        replace: str = "always",
        plugin_options: str = "",
    ) -> int:
        """Press the button "Restore"; return the job's id. Raises RuntimeError with the answer."""
        if len(plugin_options) > LONGEST_PLUGIN_OPTIONS:
            raise RuntimeError("the form does not take as many plugin options")
        path = f"b2000{random.randint(1000, 1000000)}"
        options = f' pluginoptions="{plugin_options}"' if plugin_options else ""
        self._tell(
            f".bvfs_restore jobid={_list(jobs)} fileid={_list(files)} dirid={_list(directories)} "
            f"path={path}"
        )
        answer = self._tell(
            f'restore file=?{path} client="{CLIENT}" restoreclient="{CLIENT}" '
            f'restorejob="restore-vm" where="{where}" replace="{replace}"{options} yes'
        )
        self._tell(f".bvfs_cleanup path={path}")
        found = re.search(r"JobId=(\d+)", answer)
        if found is None:
            raise RuntimeError(answer)
        return int(found.group(1))

    def close(self) -> None:
        """Log out."""
        self._lists.close()
        self._texts.close()

    def _ask(self, command: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._lists.call(command)
        self.transcript.append((command, answer))
        return answer

    def _tell(self, command: str) -> str:
        answer = self._texts.call(command).decode()
        self.transcript.append((command, answer))
        return str(answer)


def _list(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
