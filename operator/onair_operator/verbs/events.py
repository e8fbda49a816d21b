"""`onair events`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from onair_core.local_state import LocalState
from onair_operator.decide.times import precise_timestamp, timestamp
from onair_operator.eventlog import DamagedLog, Entry, FileEventLogs
from onair_operator.verbs.common import (
    clear_errors,
    namespace_option,
    opened,
    output_option,
    show_structured,
    state_dir_option,
)

FOLLOW_SECONDS = 0.2
INTERRUPTED = 130
"""Exit status of a program that Ctrl-C ended, as the shell has it."""


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on showing events as they happen.")
@namespace_option
@output_option("table", "json", "yaml")
@state_dir_option
def events(name: str, follow: bool, namespace: str, output: str, state_dir: Path) -> None:
    """Show what happened to a stream, the oldest first.

    With --follow until Ctrl-C, or until the stream is deleted; -o json then prints an object a line.
    """
    with clear_errors():
        state = opened(state_dir)
        uid = state.stream(namespace, name)["metadata"]["uid"]
    entries = _entries(FileEventLogs(state.event_logs), uid)
    if follow:
        try:
            _follow(state, namespace, name, uid, output)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
    elif output != "table":
        show_structured([shown(entry) for entry in entries], output)
    elif not entries:
        click.echo("No events yet.", err=True)
    else:
        for entry in entries:
            _show(entry, output)


def _follow(state: LocalState, namespace: str, name: str, uid: str, output: str) -> None:
    """Returns when the stream is gone: nothing will follow."""
    logs = FileEventLogs(state.event_logs)
    seen, running = 0, True
    while True:
        over = _is_over(state, namespace, name, uid)
        for entry in _entries(logs, uid):
            if entry.seq > seen:
                seen = entry.seq
                _show(entry, output)
        if over:
            return
        if running is not state.is_running():
            running = not running
            click.echo("onair local runs again" if running else "onair local is not running; waiting for it", err=True)
        time.sleep(FOLLOW_SECONDS)


def _entries(logs: FileEventLogs, uid: str) -> tuple[Entry, ...]:
    try:
        found = logs.read(uid)
    except DamagedLog as error:
        raise click.ClickException(str(error)) from error
    return tuple(found.log.entries) if found is not None else ()


def _is_over(state: LocalState, namespace: str, name: str, uid: str) -> bool:
    stream = state.read("LiveStream", namespace, name)
    return stream is None or stream["metadata"]["uid"] != uid


def shown(entry: Entry) -> dict[str, Any]:
    """An event for JSON and YAML: times as everywhere else, with milliseconds."""
    made: dict[str, Any] = msgspec.to_builtins(entry)
    return made | {name: precise_timestamp(made[name]) for name in ("at", "recorded_at")}


def _show(entry: Entry, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(shown(entry)))
    elif output == "yaml":
        click.echo(yaml.safe_dump([shown(entry)], sort_keys=False, allow_unicode=True), nl=False)
    else:
        broadcast = entry.broadcast.id if entry.broadcast is not None else ""
        message = entry.data.get("warning", {}).get("message", "")
        why = f"{entry.reason}: {message}" if message else entry.reason
        click.echo(f"{timestamp(entry.at)}  {entry.seq:>4}  {entry.type:<38} {broadcast:<24} {why}".rstrip())
