# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Explains messages of nbdkit and VDDK to an admin.

The texts are those of VixDiskLib_GetErrorText (VMware's list of VDDK error codes), and messages of
NFC and nbdkit as users report them.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.transport.endpoint import Explanation

_LINES = 40  # at the log's end; older ones are unrelated


class Meaning(NamedTuple):
    """A pattern to look for, what it means, with the fields of a VddkDisk, and what to do."""

    id: str
    pattern: str
    what: str
    todo: str


# The more specific ones first: the first one that matches is the cause.
TABLE = (
    Meaning(
        "vddk-plugin-missing",
        r"cannot open plugin|plugin.*not found|nbdkit-.*-plugin\.so: (cannot open|No such file)",
        "nbdkit has no vddk plugin",
        "install nbdkit-plugin-vddk (Debian, Ubuntu) or nbdkit-vddk-plugin (EL, Fedora), see"
        " docs/installation.md, or name it with vddk_plugin",
    ),
    Meaning(
        "nbdkit-filter-missing",
        r"cannot open filter|nbdkit-[a-z]+-filter",
        "nbdkit lacks its filter exitlast",
        "install nbdkit-basic-filters (EL, Fedora)",
    ),
    Meaning(
        "vddk-too-old",
        r"required VDDK symbol|VDDK version must be",
        "VMware's VDDK in {libdir} is too old for nbdkit",
        "install VDDK 6.7 or later",
    ),
    Meaning(
        # The first name that the plugin looks for; library.find has found another one.
        "vddk-too-new",
        r"libvixDiskLib\.so\.[89]: cannot open shared object file: No such file",
        "nbdkit does not load the VDDK in {libdir}",
        "VDDK 9 needs an nbdkit that looks for libvixDiskLib.so.9 (1.42 does not, nor older"
        " ones); is it complete, and for this machine (x86_64)?",
    ),
    Meaning(
        "vddk-unloadable",
        r"libvixDiskLib\.so[.0-9]*: (?!cannot enable)",
        "VMware's VDDK in {libdir} cannot be loaded",
        "is it complete, and for this machine (x86_64)?",
    ),
    Meaning(
        "vddk-not-started",
        r"VixDiskLib_InitEx",
        "VMware's VDDK could not be started",
        "check vddk_config and the directory vddk_libdir",
    ),
    Meaning(
        "vddk-login-refused",
        r"incorrect user ?name or password|InvalidLogin|Login failed|invalid credentials"
        r"|credentials .*(wrong|invalid|incorrect)|password.*(wrong|incorrect|invalid)",
        "{server} refused the login of {user}",
        "check vcuser and the password (vcpass_file)",
    ),
    Meaning(
        "vddk-snapshot-gone",
        r"snapshot.*(not (be )?found|already been deleted|does not exist|no such)"
        r"|(no such|unknown|invalid) snapshot|vim\.vm\.Snapshot:.*deleted",
        "the snapshot {snapshot} of {vm} does not exist any more",
        "was it deleted while the job ran?",
    ),
    Meaning(
        "vddk-vm-gone",
        r"(managed object|moref|virtual machine|\bVM\b).*(not (be )?found|already been deleted"
        r"|does not exist|no such)|ManagedObjectNotFound|vim\.VirtualMachine:.*deleted"
        r"|(no such|unknown) (managed object|moref|VM)\b",
        "{server} does not know the VM {vm}",
        "was it removed or registered anew while the job ran?",
    ),
    Meaning(
        "vddk-host-leaving",
        r"maintenance mode|host (server )?(is )?(being )?shut(ting)? ?down"
        r"|server (is )?(being )?shut(ting)? ?down|SERVER_SHUTDOWN"
        r"|(host|server) is not available|SERVER_NOT_AVAILABLE",
        "the ESXi host of {vm} is shutting down or goes into maintenance mode",
        "run the job again when the VM is on another host or the host is back",
    ),
    Meaning(
        "vddk-licence",
        r"not (have a )?licen[sc]e|no licen[sc]e|licen[sc]e.*(invalid|expired|prohibit|not )|NOLICENSE",
        "the licence of {server} or its host does not allow backups through VDDK",
        "the free edition of ESXi does not; a paid one is needed",
    ),
    Meaning(
        "vddk-certificate",
        r"thumbprint|SSL.*(verif|fingerprint)|certificate.*(not trusted|verif|mismatch)",
        "the certificate of {server} is not the one this job verified (SHA-1 {thumbprint})",
        "is there a proxy in between, or has the certificate been renewed meanwhile?",
    ),
    Meaning(
        "vddk-locked",
        r"failed to lock|file is (already )?(in use|locked)|already (in use|locked)|is locked"
        r"|locked by|device or resource busy|FILE_ALREADY_LOCKED",
        "the disk is locked: something else has it open",
        "is the VM running, or does another program back it up or restore it?",
    ),
    Meaning(
        "vddk-connections",
        r"server refused connection|NFC_NO_MEMORY|failed to allocate|memory allocation|out of memory"
        r"|too many (open )?(connections|sessions)|connection limit|(connections?|sessions?)"
        r" .*(exceeded|exhausted)|NfcFssrvr.*(memory|allocate)",
        "the ESXi host has no room for another NFC connection, or refuses it",
        "lower vddk_host_connections or vddk_vcenter_connections, which count this file"
        " daemon's connections only: other backup programs need some too",
    ),
    Meaning(
        "vddk-transports",
        r"none of the transport modes|no (suitable )?transport|transport modes?.*(not|none|no)\b|not .*transport mode"
        r"|cannot use (hotadd|san|nbd)|advanced transport",
        "none of the transports {transports} works here",
        "check vddk_transports",
    ),
    Meaning(
        "vddk-read-only",
        r"write[- ]protected|read[- ]only|FILE_READ_ONLY",
        "the disk is open for reading only",
        "please report this: a restore opens the leaf of the VM, without a snapshot",
    ),
    Meaning(
        "vddk-chain-broken",
        r"parent virtual disk has been modified|CID_MISMATCH|disk chain has not been opened",
        "the disk's chain of snapshots is broken",
        "repair the VM's snapshots (VMware's KB 1007849) before backing it up",
    ),
    Meaning(
        "vddk-privilege",
        r"insufficient permission|permission (to perform|.*denied)|NoPermission"
        r"|not have (access )?(rights|permission)|access denied|FILE_ACCESS_ERROR",
        "{user} lacks a privilege that VDDK needs",
        "give the user VirtualMachine.Provisioning.DiskRandomRead for backups and"
        " DiskRandomAccess for restores, as in docs/installation.md",
    ),
    Meaning(
        "vddk-file-gone",
        r"file was not found|no such file or directory|cannot find (a|the) (file|disk|path)"
        r"|(file|disk|path|datastore).*(does not exist|not (be )?found)|FILE_NOT_FOUND",
        "the disk's file does not exist",
        "was the VM migrated to another datastore, or the disk removed, while the job ran?",
    ),
    Meaning(
        "vddk-unreachable",
        r"cannot connect to|could not (connect|be contacted)|address lookup|failed to connect|connection (refused|failed)"
        r"|network (is )?unreachable|no route to host|timed? ?out|vmware-authd"
        r"|connection .*(lost|reset|closed)|CONN_LOST",
        "{server} or the ESXi host of the VM cannot be reached",
        "VDDK needs TCP port 443 of {server} and 902 of every ESXi host, from this machine",
    ),
    Meaning(
        "vddk-unsupported",
        r"operation is not supported|NOT_SUPPORTED",
        "VDDK does not support opening this disk so",
        "see the disk log of the job",
    ),
    Meaning(
        "vddk-unknown",
        r"VixDiskLib_Open.*Unknown error",
        "VDDK gives no reason (“Unknown error”)",
        "most often the SHA-1 thumbprint {thumbprint} is not that of the certificate VDDK meets,"
        " or this machine cannot resolve or reach the ESXi host (TCP port 902)",
    ),
)


def explain(log: str, disk: VddkDisk) -> Optional[Explanation]:
    """The cause in a log, with what to do about it; None if there is no known one."""
    lines = [line for line in log.splitlines() if "error" in line.lower()][-_LINES:]
    for meaning in TABLE:
        pattern = re.compile(meaning.pattern, re.IGNORECASE)
        if any(pattern.search(_without_names(line, disk)) for line in lines):
            fields = {name: getattr(disk, name) for name in disk.__dataclass_fields__}
            fields["password"] = "…"
            text = f"{meaning.what.format(**fields)} ({meaning.todo.format(**fields)})"
            return Explanation(meaning.id, text)
    return None


def _without_names(line: str, disk: VddkDisk) -> str:
    """The line without names that people chose: a VM may be called "no licence"."""
    for name in sorted((disk.path, disk.user, disk.server), key=len, reverse=True):
        line = line.replace(name, "…")
    return line
