# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Options as the plugin gets them: escapes, option files, encoding, and those given at restore."""

from __future__ import annotations

import base64

import pytest

from vmsnap_lab.filedaemon import FileDaemon, JobResult

from . import tracer


def _options(fd: FileDaemon, string: str) -> tuple[dict[str, str], JobResult]:
    """What a plugin has in self.options after its second parse."""
    result = fd.backup(f"python3:module_name=lab-options:{string}")
    texts = [message.text for message in result.messages if message.text.startswith("OPTION ")]
    pairs = [text[len("OPTION ") :].partition("=") for text in texts]
    return {key: value for key, _, value in pairs}, result


@pytest.mark.parametrize(
    ("string", "options"),
    [
        ("a=b", {"a": "b"}),
        (r"a=1\:2\:3:b=c", {"a": "1:2:3", "b": "c"}),
        ("a=b=c", {"a": "b=c"}),
        ("a= b c ", {"a": "b c"}),
        ("a=[x] %20 中文", {"a": "[x] %20 中文"}),
        (r"a=b\c", {"a": r"b\c"}),
        (r"a=C\:\x", {"a": r"C:\x"}),
        ("a=1:a=2", {"a": "1"}),
    ],
)
def test_string(string: str, options: dict[str, str], fd: FileDaemon) -> None:
    found, result = _options(fd, string)
    assert found == options
    assert result.status == "T"


@pytest.mark.parametrize("option", ["mod=x", "m=x", "module_n=x"])
def test_beginnings_of_the_modules_options_are_taken_for_them(option: str, fd: FileDaemon) -> None:
    assert _options(fd, option)[1].status == "f"


def test_empty_value_is_dropped_with_a_warning(fd: FileDaemon) -> None:
    found, result = _options(fd, "a=:b=c")
    assert found == {"b": "c"}
    warnings = [message.text for message in result.messages if message.type == "M_WARNING"]
    assert warnings == ["ignoring option 'a' with no value!"] * 2  # once for each parse


def test_files_and_their_precedence(fd: FileDaemon) -> None:
    (fd.config_dir / "defaults.ini").write_text(
        "# comment\n; comment\n[section]\n\nonly=default\nboth=default\nall=default\nlong=one\\\n  two\n"
        "url=https://host:8443/a=b\n"
    )
    (fd.config_dir / "overrides.ini").write_text("all=override\n")
    found, result = _options(
        fd, "defaults_file=defaults.ini:overrides_file=overrides.ini:both=string:all=string"
    )
    assert found == {
        "only": "default",
        "both": "string",
        "all": "override",
        "long": "onetwo",
        "url": "https://host:8443/a=b",
    }
    assert result.status == "T"


def test_duplicate_key_in_a_file(fd: FileDaemon) -> None:
    (fd.config_dir / "d.ini").write_text("a=1\na=2\n")
    found, result = _options(fd, "defaults_file=d.ini")
    assert found == {"a": "2"}
    assert any(message.type == "M_WARNING" for message in result.messages)


@pytest.mark.parametrize("line", ["novalue", "=nokey"])
def test_malformed_file_is_fatal(line: str, fd: FileDaemon) -> None:
    (fd.config_dir / "d.ini").write_text(f"a=1\n{line}\n")
    assert _options(fd, "defaults_file=d.ini")[1].status == "f"


def test_missing_file_is_fatal(fd: FileDaemon) -> None:
    _, result = _options(fd, "defaults_file=missing.ini")
    assert result.status == "f"
    assert any("missing.ini" in message.text for message in result.messages)


def test_encoded_value(fd: FileDaemon) -> None:
    secret = "s3cr:et=é"
    encoded = base64.b85encode(secret.encode()).decode()
    assert ":" not in encoded
    (fd.config_dir / "d.ini").write_text(f"password#enc={encoded}\n")
    assert _options(fd, "defaults_file=d.ini")[0] == {"password": secret}


def test_badly_encoded_value_is_fatal(fd: FileDaemon) -> None:
    assert _options(fd, 'a#enc="""')[1].status == "f"


def test_mandatory_option(fd: FileDaemon, script: tracer.Script) -> None:
    result = fd.backup("python3:module_name=lab-tracer:other=1")
    assert result.status == "f"
    assert any("Mandatory option 'script'" in message.text for message in result.messages)


def _restore(fd: FileDaemon, script: tracer.Script, options: str) -> tuple[JobResult, list[str]]:
    job = fd.backup(script.write(tracer.restore_object("o"), tracer.regular("/@T/a"))).jobid
    script.write()
    result = fd.restore([job], plugin_options=options)
    calls = [call for call in script.calls() if call["call"] == "parse_plugin_definition"]
    return result, [call["plugindef"] for call in calls]


def test_options_at_restore_precede_the_backups(fd: FileDaemon, script: tracer.Script) -> None:
    result, parsed = _restore(fd, script, "python3:a=b:c=d")
    assert result.status == "T"
    path = script.plugin.rpartition("script=")[2]
    assert parsed == [f"a=b:c=d:script={path}:", f"script={path}:"]


@pytest.mark.parametrize("options", ["a=b:c=d", "nonsense", "bpipe:a=b"])
def test_options_for_nobody_are_ignored(
    options: str, fd: FileDaemon, script: tracer.Script
) -> None:
    result, parsed = _restore(fd, script, options)
    assert result.status == "T"
    assert not any("a=b" in definition for definition in parsed)


@pytest.mark.parametrize(
    "options", ["python3:module_name=lab-tracer", "python3:a", r"python3:a=x\:b"]
)
def test_options_that_fail_the_restore(options: str, fd: FileDaemon, script: tracer.Script) -> None:
    assert _restore(fd, script, options)[0].status == "f"


@pytest.mark.parametrize("options", ["python3:a=b c", "python3:a=" + "b" * 1100])
def test_options_bconsole_would_not_take(
    options: str, fd: FileDaemon, script: tracer.Script
) -> None:
    with pytest.raises(ValueError, match="bconsole"):
        _restore(fd, script, options)
