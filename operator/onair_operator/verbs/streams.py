"""`onair streams`, `onair assets` and `onair key`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onair_operator.local.bookkeeping import for_people
from onair_operator.verbs.common import (
    age,
    clear_errors,
    condition,
    namespace_option,
    note_if_stopped,
    opened,
    output_option,
    show_structured,
    show_table,
    state_dir_option,
)

_COLUMNS = ("NAMESPACE", "NAME", "PHASE", "CONNECTED", "READY", "PLAYBACK", "AGE")
_WIDE = ("NAMESPACE", "NAME", "PHASE", "CONNECTED", "READY", "PLAYBACK", "ASSET", "WATCH", "AGE")


@click.command()
@click.argument("name", required=False)
@click.option("-n", "--namespace", help="Only this namespace; all without it, default for NAME.")
@output_option("table", "wide", "json", "yaml")
@state_dir_option
def streams(name: str | None, namespace: str | None, output: str, state_dir: Path) -> None:
    """List LiveStreams, or show one."""
    with clear_errors():
        state = opened(state_dir)
        found = [state.stream(namespace or "default", name)] if name else list(state.all("LiveStream", namespace))
    if output in ("json", "yaml"):
        shown = [for_people(value) for value in found]
        show_structured(shown[0] if name else shown, output)
        return
    rows = [_row(stream, wide=output == "wide") for stream in found]
    show_table(_WIDE if output == "wide" else _COLUMNS, rows, "No LiveStreams.")
    for stream in found:
        ready = condition(stream, "Ready")
        if ready.get("status") == "False":
            click.echo(f"{stream['metadata']['name']}: {ready['reason']}: {ready['message']}", err=True)
    note_if_stopped(state)


def _row(stream: dict[str, Any], *, wide: bool) -> list[object]:
    metadata, status = stream["metadata"], stream.get("status", {})
    playback = status.get("playback", [])
    ready = condition(stream, "Ready")
    row: list[object] = [
        metadata["namespace"],
        metadata["name"],
        status.get("phase"),
        status.get("connected", False),
        ready.get("status") == "True",
        ",".join(entry["id"] for entry in playback),
    ]
    if wide:
        url = playback[0]["url"] if playback else ""
        base, _, last = url.rpartition("/")
        row += [status.get("activeAsset"), f"{base}/watch/{last.removesuffix('.m3u8')}" if url else ""]
    return [*row, age(metadata.get("creationTimestamp"))]


@click.command()
@click.argument("name", required=False)
@click.option("-n", "--namespace", help="Only this namespace; all without it, default for NAME.")
@output_option("table", "json", "yaml")
@state_dir_option
def assets(name: str | None, namespace: str | None, output: str, state_dir: Path) -> None:
    """List Assets (recordings), or show one."""
    with clear_errors():
        state = opened(state_dir)
    found = list(state.all("Asset", namespace or ("default" if name else None)))
    if name:
        found = [asset for asset in found if asset["metadata"]["name"] == name]
        if not found:
            raise click.ClickException(f'no Asset "{name}" in namespace "{namespace or "default"}"; see onair assets')
    if output in ("json", "yaml"):
        shown = [for_people(value) for value in found]
        show_structured(shown[0] if name else shown, output)
        return
    rows = []
    for asset in found:
        metadata, status = asset["metadata"], asset.get("status", {})
        playback = status.get("playback", [])
        duration = status.get("duration")
        rows.append(
            [
                metadata["namespace"],
                metadata["name"],
                status.get("state"),
                status.get("isLive", False),
                f"{duration:.1f}s" if duration is not None else "",
                asset["spec"].get("liveStream", {}).get("name"),
                ",".join(entry["id"] for entry in playback),
                age(metadata.get("creationTimestamp")),
            ]
        )
    columns = ("NAMESPACE", "NAME", "STATE", "LIVE", "DURATION", "STREAM", "PLAYBACK", "AGE")
    show_table(columns, rows, "No recordings yet.")


@click.command()
@click.argument("name")
@click.option("--url", "as_url", is_flag=True, help="One URL with the key in it, for ffmpeg and the like.")
@click.option("--rtmps", is_flag=True, help="The RTMPS address.")
@namespace_option
@output_option("table", "json", "yaml")
@state_dir_option
def key(name: str, as_url: bool, rtmps: bool, namespace: str, output: str, state_dir: Path) -> None:
    """Print a stream's server and stream key.

    Whoever has the key can publish: it is the only credential.
    """
    with clear_errors():
        state = opened(state_dir)
        stream = state.stream(namespace, name)
        stream_key = state.stream_key(stream)
    server = stream["status"]["ingest"]["rtmps" if rtmps else "rtmp"]
    if as_url:
        click.echo(f"{server}/{stream_key}")
    elif output in ("json", "yaml"):
        show_structured({"server": server, "streamKey": stream_key}, output)
    else:
        click.echo(f"Server      {server}\nStream key  {stream_key}")
