# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import os
from pathlib import Path

import pytest

from bareos_vmsnap.errors import OptionError
from bareos_vmsnap.fd import options

GOOD = {"vcserver": "vc", "vcuser": "u", "dc": "DC", "vmname": "web", "nbd_uri": "nbd://x/{disk}"}


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_defaults() -> None:
    parsed = options.parse(GOOD).options
    assert (parsed.vcport, parsed.verifyssl, parsed.quiesce, parsed.folder) == (
        443,
        True,
        True,
        "/",
    )
    assert (parsed.without_trust, parsed.restore_powerstate) == ("compare", "previous")


def test_an_admin_can_forbid_the_fallback() -> None:
    assert options.parse({**GOOD, "fallback_to_full_cbt": "no"}).options.without_trust == "fail"


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("quiesce", "maybe", "quiesce=maybe must be yes or no"),
        ("vcport", "0", "vcport=0 must be a whole number from 1 to 65535"),
        ("vcport", "443x", "must be a whole number"),
        ("snapshot_retries", "-1", "must be a whole number from 0 to 100"),
        ("vcthumbprint", "12:34", "must be a SHA-1, SHA-256 or SHA-512"),
        ("restore_powerstate", "maybe", "must be on or off or previous"),
        ("vcpass_file", "relative", "must be an absolute path"),
        ("transport", "sann", "transport=sann must be vddk, nbd"),
        ("vddk_transports", "nbd:nbd", "vddk_transports=nbd:nbd must be nbdssl, nbd, hotadd, san"),
        ("vddk_libdir", "vddk", "must be an absolute path"),
        ("vddk_host_connections", "1", "must be a whole number from 2"),
        ("vmnam", "web", "vmnam is no option of this plugin"),
        ("restore_directory", "/x%00y", r"must not hold the control character \\x00"),
        ("vcpass_file", "/x%00y", "must not hold the control character"),
        ("vmname", "a\x1bb", r"must not hold the control character \\x1b"),
        ("vmname", "a\udcffb", r"must not hold the control character \\udcff"),
        ("nbd_uri", "nbd://x/{disk}%00", "must not hold the control character"),
        ("nbd_link_uri", "nbd://x/{disk}%7f", "must not hold the control character"),
    ],
)
def test_a_malformed_option_is_named(key: str, text: str, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        options.parse({**GOOD, key: text})


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(OptionError) as caught:
        options.parse({"quiesce": "x", "vcport": "y", "nonsense": "z"})
    assert all(word in str(caught.value) for word in ("quiesce=x", "vcport=y", "nonsense"))


def test_percent_escapes_carry_what_a_restore_option_cannot() -> None:
    parsed = options.parse({**GOOD, "vmname": "my%20vm%3A2", "folder": "/a%2525b"})
    assert (parsed.options.vmname, parsed.options.folder) == ("my vm:2", "/a%25b")
    assert options.parse({**GOOD, "vmname": "100% web"}).options.vmname == "100% web"


def test_password_and_uri_are_taken_as_they_are() -> None:
    received = {**GOOD, "vcpass": "a%41", "nbd_uri": "nbd://h/%7Bx{disk}"}
    parsed = options.parse(received, password_in_line=True)
    assert parsed.options.vcpass == "a%41"
    assert parsed.options.nbd_uri == "nbd://h/%7Bx{disk}"
    assert any("vcpass stands in the plugin string" in w.text for w in parsed.warnings)


def test_options_of_bareos_own_plugin_that_mean_nothing_here_are_reported() -> None:
    parsed = options.parse({**GOOD, "vadp_dumper_verbose": "yes", "do_io_in_core": "yes"})
    assert len(parsed.warnings) == 3
    assert parsed.warnings[-1].text == "nbd_uri has no effect: it goes with transport=nbd"


def test_password_file(tmp_path: Path) -> None:
    secret = private(tmp_path / "pw", "s3cret:=é \nnot this\n")
    assert options.parse({**GOOD, "vcpass_file": str(secret)}).options.vcpass == "s3cret:=é "


def test_a_password_file_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = private(tmp_path / "pw", "s3cret\n")
    secret.chmod(0o640)
    with pytest.raises(OptionError, match=r"others may read it \(mode 640\)") as caught:
        options.parse({**GOOD, "vcpass_file": str(secret)})
    assert "s3cret" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_password_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """That user can read it, whatever its mode is."""
    for name, option, text in (
        ("pw", "vcpass_file", "s3cret\n"),
        ("vc.ini", "config_file", "[vmware_plugin_options]\nvcpass=s3cret\n"),
    ):
        secret = private(tmp_path / name, text)
        os.chown(secret, 65534, 0)
        with pytest.raises(OptionError, match="belongs to another user") as raised:
            options.parse({**GOOD, option: str(secret)})
        assert raised.value.id == "password-exposed"


def test_files_that_are_not_utf_8(tmp_path: Path) -> None:
    for option, content, line in (
        ("vcpass_file", b"geheim\xe4\n", 1),
        ("config_file", b"[vmware_plugin_options]\n# caf\xe9\nvcuser=root\n", 2),
    ):
        file = private(tmp_path / option, "")
        file.write_bytes(content)
        with pytest.raises(OptionError, match=f"{file}, line {line} .*not UTF-8") as raised:
            options.parse({**GOOD, option: str(file)})
        assert raised.value.id == "option-file-unreadable"
        assert "geheim" not in str(raised.value)
    file = private(tmp_path / "password", "")
    file.write_bytes(b"secret\nthe first line alone matters \xe4\n")
    assert options.parse({**GOOD, "vcpass_file": str(file)}).options.vcpass == "secret"
    file.write_bytes(b"sec\x00ret\n")
    with pytest.raises(OptionError, match="the password must not hold the control character"):
        options.parse({**GOOD, "vcpass_file": str(file)})


def test_an_empty_or_missing_password_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no password in its first line"):
        options.parse({**GOOD, "vcpass_file": str(private(tmp_path / "pw", "\nx\n"))})
    with pytest.raises(OptionError, match=r"/x\x00y cannot be read"):
        options.parse({**GOOD, "config_file": "/x%00y"})
    with pytest.raises(OptionError, match="No such file"):
        options.parse({**GOOD, "vcpass_file": str(tmp_path / "gone")})


def test_config_file_gives_way_to_the_plugin_string(tmp_path: Path) -> None:
    text = "[vmware_plugin_options]\nvcserver=other\nvcpass=p%%w:x\nquiesce=no\n"
    file = private(tmp_path / "vc.ini", text)
    parsed = options.parse({**GOOD, "transport": "nbd", "config_file": str(file)})
    assert (parsed.options.vcserver, parsed.options.vcpass) == ("vc", "p%%w:x")
    assert parsed.options.quiesce is False
    assert parsed.warnings == ()


def test_a_config_file_with_a_password_must_be_private(tmp_path: Path) -> None:
    file = private(tmp_path / "vc.ini", "[vmware_plugin_options]\nvcpass=x\n")
    file.chmod(0o644)
    with pytest.raises(OptionError, match="holds a password"):
        options.parse({**GOOD, "config_file": str(file)})
    for text in (
        "[vmware_plugin_options]\nVCPASS = geheim\n",
        "[DEFAULT]\nvcpass: x\n[vmware_plugin_options]\nvcuser=x\n",
        "[vmware_plugin_options]\nvcuser=x\n[other]\nvcPass=x\n",
    ):
        file.write_text(text)
        with pytest.raises(OptionError, match="holds a password"):
            options.parse({"config_file": str(file)})
    file.write_text("[vmware_plugin_options]\nvcuser=x\nvcpass_file=\n# vcpass: see there\n")
    with pytest.raises(OptionError, match="must be an absolute path"):
        options.parse({"config_file": str(file)})
    file.write_text("[vmware_plugin_options]\nvcuser=x\n")
    assert options.parse({"config_file": str(file)}).options.vcuser == "x"


@pytest.mark.parametrize(
    ("text", "why"),
    [("no section", "cannot be parsed"), ("[other]\na=b\n", "has no section")],
)
def test_a_config_file_that_makes_no_sense(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        options.parse({"config_file": str(private(tmp_path / "vc.ini", text))})


def test_what_must_be_given_for_a_backup() -> None:
    with pytest.raises(OptionError, match="vcserver, vcuser, vcpass_file .* must be given"):
        options.require_server(options.parse({}).options)
    with pytest.raises(OptionError, match="dc, vmname must be given"):
        options.require_vm(options.parse({}).options)
    with pytest.raises(OptionError, match="uuid does not go with dc and vmname"):
        options.require_vm(options.parse({**GOOD, "uuid": "50"}).options)


def test_the_password_is_not_part_of_what_is_printed() -> None:
    parsed = options.parse({**GOOD, "vcpass": "s3cret"}).options
    assert "s3cret" not in repr(parsed)


@pytest.mark.parametrize(
    ("received", "through_vddk", "reading", "writing"),
    [
        ({}, True, "nbdssl:nbd", "nbdssl:nbd:hotadd"),
        # What an admin has who changes only module_name: the mode of Bareos' own plugin.
        ({"transport": "san"}, True, "san", "nbdssl:nbd:hotadd"),
        ({"transport": "nbd"}, True, "nbd", "nbd"),
        ({"transport": "nbd", "nbd_uri": "nbd://x/{disk}"}, False, "nbd", "nbd"),
        ({"nbd_uri": "nbd://x/{disk}"}, True, "nbdssl:nbd", "nbdssl:nbd:hotadd"),
        ({"vddk_transports": "san%3Anbd"}, True, "san:nbd", "nbd"),
        ({"transport": "vddk", "vddk_transports": "hotadd"}, True, "hotadd", "hotadd"),
    ],
)
def test_ways_to_the_disks(
    received: dict[str, str], through_vddk: bool, reading: str, writing: str
) -> None:
    parsed = options.parse(received).options
    assert parsed.through_vddk is through_vddk
    assert (parsed.modes(writing=False), parsed.modes(writing=True)) == (reading, writing)
