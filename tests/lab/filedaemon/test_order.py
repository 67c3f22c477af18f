# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The order of the calls, and what they carry."""

from __future__ import annotations

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer

_ITEMS = [
    tracer.restore_object("state", size=5000),
    tracer.directory("/@T/"),
    tracer.regular("/@T/a", 600_000, acl="rwx", xattrs={"user.a": "1", "user.b": "2"}),
    tracer.link("/@T/l", "a"),
    tracer.regular("/@T/empty", 0),
]


def test_backup(fd: FileDaemon, script: tracer.Script) -> None:
    result = fd.backup(script.write(*_ITEMS))
    assert result.status == "T"
    assert [call.label for call in result.trace] == [
        "load_bareos_plugin",
        "parse_plugin_definition",
        "handle_plugin_event bEventEndFileSet",
        "handle_plugin_event bEventStartBackupJob",
        "parse_plugin_definition",
        "start_backup_file",  # the object: no data, no ACL, no attributes
        "end_backup_file",
        "start_backup_file",  # the directory
        "get_acl",
        "get_xattr",
        "end_backup_file",
        "start_backup_file",
        "plugin_io IO_OPEN",
        "plugin_io IO_READ",  # two full blocks
        "plugin_io IO_READ",  # the rest
        "plugin_io IO_READ",  # the end
        "plugin_io IO_CLOSE",
        "get_acl",
        "get_xattr",  # bRC_More
        "get_xattr",
        "end_backup_file",
        "start_backup_file",  # the link: no ACL
        "get_xattr",
        "end_backup_file",
        "start_backup_file",  # the empty file is opened and read once
        "plugin_io IO_OPEN",
        "plugin_io IO_READ",
        "plugin_io IO_CLOSE",
        "get_acl",
        "get_xattr",
        "end_backup_file",
        "handle_plugin_event bEventEndBackupJob",
        "handle_plugin_event bEventJobEnd",
    ]
    reads = [call for call in result.trace if call.label == "plugin_io IO_READ"]
    assert [(call.times, call.outcome["status"]) for call in reads[:3]] == [
        (2, 262144),
        (1, 600_000 - 2 * 262144),
        (1, 0),
    ]
    assert {call.arguments["count"] for call in reads} == {262144}
    assert [(file.file_index, file.name) for file in result.files] == [
        (2, "/@T/"),  # the object took number 1
        (3, "/@T/a"),
        (4, "/@T/l"),
        (5, "/@T/empty"),
    ]


def test_job_status_letters(fd: FileDaemon, script: tracer.Script) -> None:
    fd.backup(script.write(*_ITEMS))
    events = [(call["call"], call["status"]) for call in script.calls() if "status" in call]
    assert events == [
        ("handle_plugin_event bEventEndFileSet", "C"),
        ("handle_plugin_event bEventStartBackupJob", "B"),
        ("handle_plugin_event bEventEndBackupJob", "T"),
        ("handle_plugin_event bEventJobEnd", "T"),
    ]


def test_restore(fd: FileDaemon, script: tracer.Script) -> None:
    job = fd.backup(script.write(*_ITEMS[:3])).jobid
    script.write(events=[6])
    result = fd.restore([job], where="/restore")
    assert result.status == "T"
    assert [call.label for call in result.trace] == [
        "load_bareos_plugin",
        "parse_plugin_definition",
        "restore_object_data",
        "handle_plugin_event bEventStartRestoreJob",
        "parse_plugin_definition",
        "start_restore_file",
        "create_file",
        "set_file_attributes",
        "end_restore_file",
        "parse_plugin_definition",
        "start_restore_file",
        "create_file",
        "plugin_io IO_OPEN",
        "plugin_io IO_WRITE",
        "plugin_io IO_WRITE",
        "set_file_attributes",
        "plugin_io IO_CLOSE",
        "set_acl",
        "set_xattr",
        "set_xattr",
        "end_restore_file",
        "handle_plugin_event bEventEndRestoreJob",
        "handle_plugin_event bEventJobEnd",
    ]
    created = next(call for call in script.calls() if call["call"] == "create_file")
    assert created["ofname"] == "/restore/@T/"
    assert (created["preset"], created["replace"], created["where"]) == (2, 97, "/restore")
    opened = next(call for call in script.calls() if call["call"] == "plugin_io IO_OPEN")
    assert (opened["fname"], opened["flags"], opened["mode"]) == ("/restore/@T/a", 577, 0o600)
    acl = next(call for call in script.calls() if call["call"] == "set_acl")
    assert acl["content"] == "rwx\0"


def test_restore_without_objects_loads_the_module_after_the_start(
    fd: FileDaemon, script: tracer.Script
) -> None:
    job = fd.backup(script.write(tracer.regular("/@T/a"))).jobid
    script.write()
    result = fd.restore([job])
    assert [call.label for call in result.trace][:4] == [
        "load_bareos_plugin",
        "parse_plugin_definition",
        "start_restore_file",
        "create_file",
    ]


def test_two_plugin_lines_share_one_object(fd: FileDaemon, script: tracer.Script) -> None:
    plugin = script.write(
        tracer.regular("/@T/a"),
        tracer.regular("/@T/b"),
        faults=[{"at": "end_backup_file", "return": 0}],
    )
    result = fd.backup([plugin, plugin + ":second=yes"])
    assert [file.name for file in result.files] == ["/@T/a", "/@T/b"]
    labels = [call.label for call in result.trace]
    assert labels.count("load_bareos_plugin") == 1
    assert labels.count("parse_plugin_definition") == 4
    commands = []
    script.write()
    fd.restore([result.jobid])
    commands = [call["cmd"] for call in script.calls() if call["call"] == "start_restore_file"]
    assert [command.endswith(":second=yes") for command in commands] == [False, True]


def test_unknown_plugin_is_fatal(fd: FileDaemon, script: tracer.Script) -> None:
    result = fd.backup(script.write(tracer.regular("/@T/a")).replace("python3:", "bpipe:"))
    assert result.status == "f"
    assert any("not found" in message.text for message in result.messages)


def test_module_that_is_missing_is_fatal(fd: FileDaemon) -> None:
    result = fd.backup("python3:module_name=no-such-module")
    assert result.status == "f"
    assert result.trace == []
    assert any("No module named" in message.text for message in result.messages)
