# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A throw-away PostgreSQL with Bareos' catalog in it."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path
from typing import Any

from . import daemons
from .installation import Installation

_PORT = 5432  # of the socket's name only: it does not listen on TCP
_SCRIPTS = ("create_bareos_database", "make_bareos_tables", "grant_bareos_privileges")


class Database:
    """A PostgreSQL cluster in `directory`, reached by a socket in it.

    PostgreSQL refuses to run as root: then it runs as "postgres", or "nobody".
    """

    def __init__(self, bareos: Installation, directory: Path) -> None:
        self.directory = directory
        self._programs = bareos.postgresql
        self._identity = _identity()
        directory.mkdir(mode=0o700)
        data = directory / "data"
        if self._identity:
            os.chown(directory, self._identity["user"], self._identity["group"])
        self._run(self._programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N")
        settings = {"listen_addresses": "", "unix_socket_directories": directory, "fsync": "off"}
        self._server = daemons.Daemon(
            "postgresql",
            [
                self._programs / "postgres",
                "-D",
                data,
                *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
            ],
            directory.parent / "postgresql.log",
            listens=directory / f".s.PGSQL.{_PORT}",
            stop_by=signal.SIGINT,
            **self._identity,
        )
        self._server.start()
        for script in _SCRIPTS:
            self._run(bareos.scripts / script)

    def resource(self) -> str:
        """The Director's Catalog resource for it."""
        return f"""Catalog {{
  Name = MyCatalog
  DB Name = "bareos"
  DB User = "bareos"
  DB Password = ""
  DB Address = "{self.directory}"
  DB Port = {_PORT}
}}
"""

    def query(self, statement: str) -> list[list[str]]:
        """Rows of texts; NULL is an empty one."""
        output = self._run(
            "psql", "-X", "-q", "-A", "-t", "-F", "\t", "-R", "\x1e", "-c", statement
        )
        rows = output.rstrip("\n").split("\x1e")
        return [row.split("\t") for row in rows if row]

    def dump(self) -> str:
        """The whole catalog."""
        return self._run(self._programs / "pg_dump")

    def stop(self) -> None:
        self._server.stop()

    def _run(self, *command: object) -> str:
        environment = {
            **daemons.clean_environment(),
            "PGHOST": str(self.directory),
            "PGPORT": str(_PORT),
            "PGUSER": "postgres",
            "PGDATABASE": "bareos",
            "db_name": "bareos",
            "db_user": "bareos",
            "db_password": "",
        }
        if "create" in str(command[0]):
            environment["PGDATABASE"] = "postgres"  # the other one does not exist yet
        done = subprocess.run(
            [str(word) for word in command],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            **self._identity,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")
        return done.stdout


def _identity() -> dict[str, Any]:
    """Arguments of subprocess that make it run as somebody else than root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and there is no user for it")
