# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The plugin's options: one table, used to check and to document them.

Names follow Bareos' own VMware plugin if it has the option. Values may hold %XX for any byte, since
options given at restore time can hold neither blanks nor colons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import unquote

from bareos_vmsnap import method_names
from bareos_vmsnap.errors import Notice, OptionError
from bareos_vmsnap.fd import option_files, option_values
from bareos_vmsnap.mover import plan
from bareos_vmsnap.stream import layout
from bareos_vmsnap.transport import disks
from bareos_vmsnap.tree import method_ladder
from bareos_vmsnap.tree.plan_restore import Snapshots

KIB, MIB = 1 << 10, 1 << 20
# Bareos' own, consumed before they reach us.
_FOREIGN = ("module_path", "module_name", "defaults_file", "overrides_file")
_ACCEPTED_BUT_MOOT: dict[str, str] = {
    "vadp_dumper_verbose": "there is no vadp_dumper",
    "vadp_dumper_multithreading": "there is no vadp_dumper",
    "vadp_dumper_sectors_per_call": "there is no vadp_dumper",
    "vadp_dumper_query_allocated_blocks_chunk_size": "there is no vadp_dumper",
    "cleanup_tmpfiles": "there are no temporary files",
    "do_io_in_core": "data always flows through Bareos' core",
    "restore_allow_disks_mismatch": "the VM is always created anew",
    "nvram_connect_timeout": "a fixed timeout is used",
    "nvram_readwrite_timeout": "a fixed timeout is used",
    "log_path": "the job log holds all messages",
}


def _opt(
    parse: Callable[[str], Any], default: Any, doc: str, raw: bool = False, unit: int = 1
) -> Any:
    metadata = {"parse": parse, "doc": doc, "raw": raw, "unit": unit}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Options:
    """All options, checked. Each field's metadata holds its parser and documentation."""

    vcserver: str = _opt(str, "", "vCenter Server or ESXi host: name or IP address")
    vcport: int = _opt(option_values.number(1, 65535), 443, "Its HTTPS port")
    vcuser: str = _opt(str, "", "User, e.g. backup@vsphere.local")
    vcpass: str = _opt(str, "", "Password; better in vcpass_file or config_file", raw=True)
    vcpass_file: Optional[str] = _opt(
        option_values.absolute,
        None,
        "File with the password in its first line, readable by root only",
    )
    vcthumbprint: Optional[str] = _opt(
        option_values.thumbprint, None, "Accept exactly the certificate with this digest"
    )
    ca_file: Optional[str] = _opt(
        option_values.absolute,
        None,
        "CA certificates (PEM) to verify the server with, not the system's",
    )
    verifyssl: bool = _opt(option_values.yes_no, True, "Verify the server's certificate")
    config_file: Optional[str] = _opt(
        option_values.absolute,
        None,
        f"INI file with further options in its section [{option_files.SECTION}]",
    )
    dc: str = _opt(str, "", "Datacenter; /folder/name if it lies in a folder")
    folder: str = _opt(str, "/", "VM folder or vApp, like /web/production")
    vmname: str = _opt(str, "", "Name of the VM; on restore, of the VM to create")
    uuid: str = _opt(str, "", "Instance UUID (or unique BIOS UUID) instead of dc, folder, vmname")
    transport: str = _opt(
        option_values.transport, "vddk", "How disks are reached: vddk, or nbd with nbd_uri"
    )
    nbd_uri: str = _opt(
        option_values.uri,
        "",
        "NBD URI of a disk, with {vm}, {snapshot}, {disk}, {path} in it",
        raw=True,
    )
    nbd_link_uri: str = _opt(
        option_values.uri,
        "",
        "The same for a disk's own file without its parents (without_cbt=link)",
        raw=True,
    )
    vddk_libdir: Optional[str] = _opt(
        option_values.absolute, None, "VDDK's directory; by default the usual ones are looked at"
    )
    vddk_plugin: str = _opt(
        str, disks.PLUGIN, "nbdkit's vddk plugin: its name, or the path of its file"
    )
    vddk_transports: Optional[str] = _opt(
        option_values.modes,
        None,
        f"VDDK's transport modes in order; {disks.READING_MODES}, and for restores "
        f"{disks.WRITING_MODES}, by default",
    )
    vddk_compression: disks.VddkCompression = _opt(
        option_values.one_of(*disks.COMPRESSIONS),
        disks.COMPRESSION,
        "Compression between host and proxy",
    )
    vddk_config: Optional[str] = _opt(
        option_values.absolute, None, "File with more lines for VDDK's configuration file"
    )
    vddk_log: str = _opt(
        option_values.one_of("failed", "all", "debug"),
        "failed",
        "Keep nbdkit's and VDDK's messages of failed jobs, of all, or all messages of all",
    )
    vddk_host_connections: int = _opt(
        option_values.number(2, 100),
        10,
        "Most VDDK connections of this file daemon to one ESXi host",
    )
    vddk_vcenter_connections: int = _opt(
        option_values.number(2, 100),
        40,
        "Most VDDK connections of this file daemon through one vCenter",
    )
    vddk_slots: Optional[str] = _opt(
        option_values.absolute,
        None,
        "Directory that counts connections; by default the working directory",
    )
    quiesce: bool = _opt(
        option_values.yes_no, True, "Quiesce the guest's file systems for the snapshot"
    )
    snapshot_retries: int = _opt(
        option_values.number(0, 100), 3, "Retries when marking the VM or taking the snapshot fails"
    )
    snapshot_retry_wait: int = _opt(
        option_values.number(0, 3600), 5, "Seconds between these retries"
    )
    enable_cbt: bool = _opt(
        option_values.yes_no,
        True,
        "Switch changed block tracking on if it is off and no snapshot exists",
    )
    use_cbt: bool = _opt(
        option_values.yes_no,
        True,
        "Ask CBT what has changed; no: find it as if CBT could not be trusted",
    )
    fallback_to_full_cbt: bool = _opt(
        option_values.yes_no,
        True,
        "If CBT cannot be trusted, do what without_cbt says; no: fail the job",
    )
    without_cbt: method_ladder.Fallback = _opt(
        option_values.one_of(method_names.COMPARE, method_names.FULL, method_names.LINK),
        method_names.COMPARE,
        "Without CBT: compare with the base; send all; link: what the snapshot's own file holds",
    )
    read_all: bool = _opt(
        option_values.yes_no,
        False,
        "Read all of a disk where CBT's changes do not count, not only what is said to be in use",
    )
    audit: int = _opt(
        option_values.number(0, 1_000_000),
        0,
        "Sample so many 64 KiB blocks of each disk and snapshot that CBT calls unchanged",
    )
    without_previous: str = _opt(
        option_values.one_of("full", "fail"),
        "full",
        "An Incremental or Differential without a usable manifest of its base: do the full work",
    )
    require_marker: bool = _opt(
        option_values.yes_no,
        False,
        "Without the privilege for the marker in the VM never count from the previous backup",
    )
    prevent_storage_vmotion: str = _opt(
        option_values.one_of("auto", "yes", "no"),
        "auto",
        "Have vCenter refuse to migrate the VM meanwhile: if that is possible; or else fail; or never",
    )
    remove_leftovers: str = _opt(
        option_values.one_of("own", "all"),
        "own",
        "Delete backup snapshots of dead jobs: this file daemon's, or any's",
    )
    compression: layout.Compression = _opt(
        option_values.one_of(*layout.COMPRESSIONS), layout.COMPRESSION, "Compression of segments"
    )
    rate_limit: int = _opt(
        option_values.size(0, plan.MAX_RATE_LIMIT // MIB, MIB),
        0,
        "MiB a second a job reads or writes at most; 0: as fast as it goes",
        unit=MIB,
    )
    lz4_acceleration: int = _opt(
        option_values.number(1, plan.MAX_LZ4_ACCELERATION),
        plan.LZ4_ACCELERATION,
        "Trade compression for speed: 1 is smallest and slowest",
    )
    connections: int = _opt(
        option_values.number(1, plan.MAX_CONNECTIONS),
        plan.CONNECTIONS,
        "NBD connections for reading a disk",
    )
    requests_in_flight: int = _opt(
        option_values.number(1, plan.MAX_REQUESTS_IN_FLIGHT),
        plan.REQUESTS_IN_FLIGHT,
        "Requests to a disk's server at a time, over all its connections",
    )
    request_size: int = _opt(
        option_values.size(plan.MIN_REQUEST_SIZE // KIB, plan.MAX_REQUEST_SIZE // KIB, KIB),
        plan.REQUEST_SIZE,
        "KiB for each request at most",
        unit=KIB,
    )
    restore_target: str = _opt(
        option_values.one_of("vm", "directory", "files"),
        "vm",
        "Create the VM; or qcow2 files, or just the virtual files, in restore_directory",
    )
    restore_directory: Optional[str] = _opt(
        option_values.absolute,
        None,
        "For restore_target=directory or files: a directory on the client",
    )
    restore_timepoint: Optional[str] = _opt(
        str, None, "Time point to restore (see list files); the newest of the jobs by default"
    )
    restore_snapshots: str = _opt(
        option_values.one_of(*(choice.value for choice in Snapshots)),
        Snapshots.TREE.value,
        "The whole snapshot tree, or only the VM's own state",
    )
    restore_created: bool = _opt(
        option_values.yes_no, False, "Add each snapshot's time of creation to its description"
    )
    restore_esxhost: Optional[str] = _opt(str, None, "ESXi host to create the VM on")
    restore_cluster: Optional[str] = _opt(str, None, "Cluster to create the VM in")
    restore_resourcepool: Optional[str] = _opt(str, None, "Resource pool to create the VM in")
    restore_datastore: Optional[str] = _opt(
        str, None, "Datastore for all files; by default each disk's own"
    )
    restore_powerstate: str = _opt(
        option_values.one_of("on", "off", "previous"), "previous", "Power state of the restored VM"
    )
    poweron_timeout: int = _opt(
        option_values.number(1, 3600), 15, "Seconds to wait for the power-on"
    )
    restore_on_failure: str = _opt(
        option_values.one_of("keep", "remove"),
        "keep",
        "What becomes of the incomplete VM when a restore fails",
    )
    restore_readback: bool = _opt(
        option_values.yes_no, False, "Read every segment back after writing and compare checksums"
    )

    @property
    def through_vddk(self) -> bool:
        """Whether disks are reached through VDDK. `transport=nbd` is one of VDDK's modes in Bareos'
        own plugin, and here too unless nbd_uri is set.
        """
        return not (self.transport == "nbd" and self.nbd_uri)

    def modes(self, writing: bool) -> str:
        """VDDK's transport modes."""
        modes = self.vddk_transports or (self.transport if self.transport != "vddk" else None)
        if not writing:
            return modes or disks.READING_MODES
        return disks.writing_modes(modes or "") or disks.WRITING_MODES

    @property
    def without_trust(self) -> method_ladder.Fallback:
        """What the ladder of methods ends with: compare, full or fail."""
        return self.without_cbt if self.fallback_to_full_cbt else method_ladder.FAIL

    def __repr__(self) -> str:
        shown = (f for f in fields(self) if f.name != "vcpass")
        return "Options(" + ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in shown) + ")"


@dataclass(frozen=True)
class Parsed:
    """Checked options, and warnings about them for an admin."""

    options: Options
    warnings: tuple[Notice, ...]


def parse(received: Mapping[str, str], *, password_in_line: bool = False) -> Parsed:
    """Check the options Bareos handed over. Raises one OptionError that names all mistakes.

    `password_in_line`: the password is in the plugin string itself, not in a file it names.

    Precedence: the plugin string (a restore's options first), then config_file, then defaults.
    """
    known = {f.name: f for f in fields(Options)}
    texts = {key: value for key, value in received.items() if key not in _FOREIGN}
    warnings: list[Notice] = []
    if password_in_line:
        text = (
            "vcpass stands in the plugin string, which Bareos keeps in its catalog and on volumes: "
            "use vcpass_file or config_file"
        )
        warnings.append(Notice("password-in-line", text))
    if texts.get("config_file"):
        for key, value in option_files.read_config(unquote(texts["config_file"])).items():
            texts.setdefault(key, value)
    for key in [key for key in texts if key in _ACCEPTED_BUT_MOOT]:
        moot = f"Option {key} has no effect: {_ACCEPTED_BUT_MOOT[key]}"
        warnings.append(Notice("option-without-effect", moot))
        del texts[key]

    mistakes, values = [], {}
    for key, text in texts.items():
        if key not in known:
            mistakes.append(f"{key} is no option of this plugin")
            continue
        meta = known[key].metadata
        try:
            value = text if meta["raw"] else unquote(text)
            option_values.refuse_unprintable(value)
            values[key] = meta["parse"](value)
        except ValueError as error:
            mistakes.append(f"{key}={text if key != 'vcpass' else '…'} {error}")
    if mistakes:
        raise OptionError(
            "Plugin options: " + "; ".join(mistakes),
            todo="See docs/options.md for all options",
            id="option-invalid",
        )
    if values.get("vcpass_file"):
        values["vcpass"] = option_files.read_password(Path(values["vcpass_file"]))
    options = Options(**values)
    if options.nbd_uri and options.through_vddk:
        moot = "nbd_uri has no effect: it goes with transport=nbd"
        warnings.append(Notice("option-without-effect", moot))
    return Parsed(options, tuple(warnings))


def require_server(options: Options) -> None:
    """Refuse a job that does not say where and how to log in. Raises OptionError."""
    missing = [name for name in ("vcserver", "vcuser") if not getattr(options, name)]
    if not options.vcpass:
        missing.append("vcpass_file (or vcpass in config_file)")
    _complain(missing)


def require_vm(options: Options) -> None:
    """Refuse a backup that does not say which VM. Raises OptionError."""
    if options.uuid:
        clash = [name for name in ("dc", "vmname") if getattr(options, name)]
        if clash:
            raise OptionError(
                f"Plugin options: uuid does not go with {' and '.join(clash)}", id="option-invalid"
            )
        return
    _complain([name for name in ("dc", "vmname") if not getattr(options, name)])


def _complain(missing: list[str]) -> None:
    if missing:
        raise OptionError(
            f"Plugin options: {', '.join(missing)} must be given",
            todo="Add them to the FileSet's Plugin line or to config_file",
            id="option-missing",
        )
