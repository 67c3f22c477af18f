# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap-lab fd: jobs of the loopback file daemon from a shell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional

import click

from vmsnap_lab.filedaemon import daemon, result


@click.group()
@click.option(
    "--directory", required=True, type=click.Path(path_type=Path), help="Holds all of it."
)
@click.option(
    "--plugin-path",
    default=".",
    type=click.Path(exists=True, path_type=Path),
    help="module_path of plugin strings without one.",
)
@click.pass_context
def command(context: click.Context, directory: Path, plugin_path: Path) -> None:
    """Run a Bareos Python plugin without Bareos."""
    context.obj = daemon.FileDaemon(directory, plugin_path=plugin_path)


@command.command()
@click.argument("plugin", nargs=-1, required=True)
@click.option("--name", default="backup-vm", show_default=True)
@click.option("--level", default="Full", show_default=True)
@click.option("--accurate", is_flag=True)
@click.pass_obj
def backup(
    fd: daemon.FileDaemon, plugin: tuple[str, ...], name: str, level: str, accurate: bool
) -> None:
    """Back up what PLUGIN (python3:module_name=...:option=value) offers."""
    _finish(fd.backup(plugin, name=name, level=level, accurate=accurate, on_message=_show))


@command.command()
@click.argument("jobids", nargs=-1, type=int)
@click.option("--name", default="backup-vm", show_default=True)
@click.option("--where", default="/", show_default=True)
@click.option("--plugin-options", default="", help="python3:option=value")
@click.pass_obj
def restore(
    fd: daemon.FileDaemon, jobids: tuple[int, ...], name: str, where: str, plugin_options: str
) -> None:
    """Restore jobs, or the current state of the jobs of a name."""
    jobs: Optional[tuple[int, ...]] = jobids or None
    try:
        ended = fd.restore(
            jobs, name=name, where=where, plugin_options=plugin_options, on_message=_show
        )
    except (LookupError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    _finish(ended)


@command.command()
@click.argument("plugin", nargs=-1, required=True)
@click.pass_obj
def estimate(fd: daemon.FileDaemon, plugin: tuple[str, ...]) -> None:
    """List what a backup would offer."""
    ended = fd.estimate(plugin, on_message=_show)
    for file in ended.files:
        click.echo(f"{file.size:>14} {file.name}")
    _finish(ended)


@command.command("list")
@click.argument("jobid", type=int, required=False)
@click.pass_obj
def list_(fd: daemon.FileDaemon, jobid: Optional[int]) -> None:
    """List the jobs, or the files of one."""
    if jobid is None:
        for job in fd.jobs():
            click.echo(
                f"{job.jobid:>6} {job.type} {job.level} {job.status} {job.bytes:>14} {job.name}"
            )
        return
    for file in fd.files(jobid):
        click.echo(f"{file.file_index:>6} {file.size:>14} {file.stored:>14} {file.name}")


def _show(message: result.Message) -> None:
    click.echo(f"{message.origin}: {message.type}: {message.text}")


def _finish(ended: result.JobResult) -> None:
    for text in [*ended.hazards, *([ended.crash] if ended.crash else [])]:
        click.echo(f"In a real bareos-fd: {text}", err=True)
    sys.exit(0 if ended.status in "TW" else 1)
