# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The configuration of a small site: what it had before, and director-config/ in it."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from vmsnap_lab import plugin_options
from vmsnap_lab.lab import Lab

from . import daemons, shipped

CLIENT = "vmware-proxy-fd"


@dataclass
class Configuration:
    """Below `root`: etc/ with the configuration, work/, volumes/, plugins/, log/. Disks are reached
    by `transport`, see vmsnap_lab.plugin_options.
    """

    root: Path
    director_port: int = 0
    storage_port: int = 0
    file_port: int = 0
    transport: str = "nbd"
    secret: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        ports = daemons.free_ports(3)
        self.director_port, self.storage_port, self.file_port = ports
        for name in ("etc/vmsnap", "work/dir", "work/sd", "work/fd", "volumes", "log"):
            (self.root / name).mkdir(parents=True)
        (self.root / "etc/vmsnap").chmod(0o700)

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    def write(self, catalog: str, lab: Lab) -> None:
        """Write everything; `catalog` is the Director's Catalog resource."""
        self._write_site(catalog)
        self._write_shipped(lab)

    def add(self, kind: str, name: str, content: str) -> None:
        """A resource of the Director's."""
        self._put(f"bareos-dir.d/{kind}/{name}.conf", content)

    def add_vm(
        self,
        vm: str,
        *,
        options: str = "",
        plugin: str = "",
        job: str = "",
        lines: str = "",
        module: str = "bareos-fd-vmsnap",
    ) -> None:
        """FileSet and Job of another VM, made from the shipped ones for web1.

        `options` go to the FileSet's Options, `plugin` to the end of its Plugin line
        (":audit=3"), `lines` to its Include, `job` to the Job; `module` is the module_name.
        """
        fileset = self._fileset().replace("web1", vm)
        fileset = fileset.replace("module_name=bareos-fd-vmsnap", f"module_name={module}")
        fileset = fileset.replace("Signature = XXH128", options or "Signature = XXH128")
        fileset = fileset.replace(f'":vmname={vm}"', f'":vmname={vm}{plugin}"\n{lines}')
        self.add("fileset", f"vmsnap-{vm}", fileset)
        backup = shipped.text("bareos-dir.d/job/backup-vm-web1.conf", {"web1": vm})
        self.add("job", f"backup-vm-{vm}", shipped.with_lines(backup, job))

    def add_client(self, name: str, port: int) -> Path:
        """A second client like the first, below a configuration directory that is returned."""
        etc, work = self.root / name, self.root / "work" / name
        shutil.copytree(self.etc / "bareos-fd.d", etc / "bareos-fd.d")
        work.mkdir()
        changes = {
            CLIENT: name,
            f"Port = {self.file_port}": f"Port = {port}",
            f"{self.root}/work/fd": str(work),
        }
        theirs = self.etc / "bareos-dir.d/client/vmware-proxy.conf"
        for source, target in (
            (etc / "bareos-fd.d/client/myself.conf", etc / "bareos-fd.d/client/myself.conf"),
            (theirs, theirs.with_name(f"{name}.conf")),
        ):
            content = source.read_text()
            for old, new in changes.items():
                content = content.replace(old, new)
            target.write_text(content)
        return etc

    def _write_shipped(self, lab: Lab) -> None:
        for path in shipped.names():
            self._put(f"bareos-dir.d/{path}", shipped.text(f"bareos-dir.d/{path}", {}))
        changes = {
            "vmware-proxy.example.org": f"127.0.0.1\n  Port = {self.file_port}",
            "the-password-in-the-proxy's-director-resource": self.secret,
        }
        client = shipped.text("bareos-dir.d/client/vmware-proxy.conf", changes)
        self.add("client", "vmware-proxy", client)
        self.add("fileset", "vmsnap-web1", self._fileset())
        myself = shipped.text(
            "bareos-fd.d/client/myself.conf",
            {"/usr/lib/bareos/plugins": str(self.root / "plugins")},
        )
        own = f'  Address = 127.0.0.1\n  Port = {self.file_port}\n  Working Directory = "{self.root}/work/fd"\n'
        self._put("bareos-fd.d/client/myself.conf", shipped.with_lines(myself, own))
        changes = {
            "vcenter.example.org": f"{lab.host}\nvcport = {lab.port}",
            "backup@vsphere.local": lab.user,
            "#ca_file = /etc/bareos/vmsnap/vcenter-ca.pem": f"ca_file = {lab.ca_file}",
            "/etc/bareos": str(self.etc),
            "#vddk_libdir = /opt/vmware-vix-disklib-distrib": "\n".join(
                f"{key} = {value}"
                for key, value in plugin_options.to_disks(lab, self.transport).items()
            ),
        }
        self._put("vmsnap/vcenter.ini", shipped.text("vmsnap/vcenter.ini", changes))
        password = {"change-me": lab.password}
        self._put("vmsnap/vcenter.password", shipped.text("vmsnap/vcenter.password", password))
        for name in ("vcenter.ini", "vcenter.password"):
            (self.etc / "vmsnap" / name).chmod(0o600)

    def _fileset(self) -> str:
        changes = {
            "/usr/lib/bareos/plugins": str(self.root / "plugins"),
            "/etc/bareos": str(self.etc),
            "dc=Datacenter": "dc=Lab",
        }
        return shipped.text("bareos-dir.d/fileset/vmsnap-web1.conf", changes)

    def _write_site(self, catalog: str) -> None:
        self.add("catalog", "MyCatalog", catalog)
        director = f"""Director {{
  Name = bareos-dir
  Address = 127.0.0.1
  Port = {self.director_port}
  Query File = "/dev/null"
  Working Directory = "{self.root}/work/dir"
  Maximum Concurrent Jobs = 20
  Password = "{self.secret}"
  Messages = Standard
}}
"""
        self.add("director", "bareos-dir", director)
        messages = """Messages {
  Name = Standard
  Console = all, !skipped, !saved, !audit
  Catalog = all, !skipped, !saved, !audit
}
"""
        self.add("messages", "Standard", messages)
        storage = f"""Storage {{
  Name = File
  Address = 127.0.0.1
  Port = {self.storage_port}
  Password = "{self.secret}"
  Device = FileStorage
  Auto Changer = yes
  Media Type = File
  Maximum Concurrent Jobs = 20
}}
"""
        self.add("storage", "File", storage)
        self._write_daemons()

    def _write_daemons(self) -> None:
        console = f"""Director {{
  Name = bareos-dir
  Address = 127.0.0.1
  Port = {self.director_port}
  Password = "{self.secret}"
}}
"""
        self._put("bconsole.conf", console)
        for daemon in ("bareos-fd", "bareos-sd"):
            known = f'Director {{\n  Name = bareos-dir\n  Password = "{self.secret}"\n}}\n'
            self._put(f"{daemon}.d/director/bareos-dir.conf", known)
            messages = "Messages {\n  Name = Standard\n  Director = bareos-dir = all, !skipped, !restored\n}\n"
            self._put(f"{daemon}.d/messages/Standard.conf", messages)
        # A job that ends in its first moments can take a storage daemon with it that reserves just
        # in time (seen with 25.1.0).
        storage = f"""Storage {{
  Name = bareos-sd
  Address = 127.0.0.1
  Port = {self.storage_port}
  Working Directory = "{self.root}/work/sd"
  Just In Time Reservation = no
}}
"""
        self._put("bareos-sd.d/storage/bareos-sd.conf", storage)
        device = f"""Device {{
  Name = FileStorage
  Media Type = File
  Archive Device = "{self.root}/volumes"
  Label Media = yes
  Random Access = yes
  Automatic Mount = yes
  Removable Media = no
  Always Open = no
  Maximum Concurrent Jobs = 1
  Count = 6
  Spool Directory = "{self.root}/work/sd"
}}
"""
        self._put("bareos-sd.d/device/FileStorage.conf", device)

    def _put(self, name: str, content: str) -> None:
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
