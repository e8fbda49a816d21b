"""`onair events`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import msgspec
import yaml

from onair_core.local_state import LocalState
from onair_operator.decide.times import timestamp
from onair_operator.eventlog import DamagedLog, Entry, FileEventLogs
from onair_operator.verbs.common import clear_errors, namespace_option, opened, output_option, state_dir_option

FOLLOW_SECONDS = 0.2


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on showing events as they happen.")
@namespace_option
@output_option("table", "json", "yaml")
@state_dir_option
def events(name: str, follow: bool, namespace: str, output: str, state_dir: Path) -> None:
    """Show what happened to a stream, the oldest first."""
    with clear_errors():
        state = opened(state_dir)
        uid = state.stream(namespace, name)["metadata"]["uid"]
    logs = FileEventLogs(state.event_logs)
    entries = _entries(logs, uid)
    if output != "table" and not follow:
        shown = [msgspec.to_builtins(entry) for entry in entries]
        click.echo(json.dumps(shown, indent=2) if output == "json" else yaml.safe_dump(shown, sort_keys=False))
        return
    if not entries and not follow:
        click.echo("No events yet.", err=True)
    seen = 0
    while True:
        for entry in entries:
            if entry.seq > seen:
                seen = entry.seq
                _show(entry, output)
        if not follow or _is_over(state, namespace, name, uid):
            return
        time.sleep(FOLLOW_SECONDS)
        entries = _entries(logs, uid)


def _entries(logs: FileEventLogs, uid: str) -> tuple[Entry, ...]:
    try:
        found = logs.read(uid)
    except DamagedLog as error:
        raise click.ClickException(str(error)) from error
    return tuple(found.log.entries) if found is not None else ()


def _is_over(state: LocalState, namespace: str, name: str, uid: str) -> bool:
    """The stream was deleted: nothing will follow."""
    stream = state.read("LiveStream", namespace, name)
    return stream is None or stream["metadata"]["uid"] != uid


def _show(entry: Entry, output: str) -> None:
    if output == "json":
        click.echo(msgspec.json.encode(entry).decode())
        return
    if output == "yaml":
        click.echo(yaml.safe_dump([msgspec.to_builtins(entry)], sort_keys=False), nl=False)
        return
    broadcast = entry.broadcast.id if entry.broadcast is not None else ""
    click.echo(f"{timestamp(entry.at)}  {entry.seq:>4}  {entry.type:<38} {broadcast:<24} {entry.reason}".rstrip())
