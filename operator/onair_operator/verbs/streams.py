"""`onair streams`, `onair assets` and `onair key`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from onair_core.playback.paths import watch_page
from onair_operator.decide.times import unix_time
from onair_operator.local.bookkeeping import for_people
from onair_operator.verbs.common import (
    age,
    clear_errors,
    condition,
    duration,
    ingest_problem,
    namespace_option,
    note_if_stopped,
    opened,
    output_option,
    show_structured,
    show_table,
    state_dir_option,
)
from onair_operator.verbs.figures import Figures, figures_if_running

_COLUMNS = ("NAMESPACE", "NAME", "PHASE", "CONNECTED", "READY", "PLAYBACK", "AGE")
_WIDE = (*_COLUMNS[:-1], "HEALTH", "BITRATE", "ASSET", "WATCH", "AGE")
_ASSET_COLUMNS = ("NAMESPACE", "NAME", "STATE", "LIVE", "DURATION", "STREAM", "PLAYBACK", "AGE")
_ASSET_WIDE = (*_ASSET_COLUMNS[:-1], "WATCH", "AGE")


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
    found.sort(key=lambda stream: (stream["metadata"]["namespace"], stream["metadata"]["name"]))
    if output in ("json", "yaml"):
        shown = [for_people(value) for value in found]
        show_structured(shown[0] if name else shown, output)
        return
    now = time.time() if state.is_running() else None
    rows = []
    figures = figures_if_running(state) if output == "wide" else {}
    for stream in found:
        of_it = figures.get((stream["metadata"]["namespace"], stream["metadata"]["name"]), Figures())
        rows.append(stream_row(stream, now=now, figures=of_it if output == "wide" else None))
    show_table(_WIDE if output == "wide" else _COLUMNS, rows, "No LiveStreams.")
    for stream in found:
        ready = condition(stream, "Ready")
        if ready.get("status") == "False":
            click.echo(f"{stream['metadata']['name']}: {ready['reason']}: {ready['message']}", err=True)
    note_if_stopped(state)


def stream_row(stream: dict[str, Any], *, now: float | None, figures: Figures | None) -> list[object]:
    """One line of the table; of the wide one with `figures`. `now`: Unix seconds, None when no process runs."""
    metadata, status = stream["metadata"], stream.get("status", {})
    playback = status.get("playback", [])
    row: list[object] = [
        metadata["namespace"],
        metadata["name"],
        status.get("phase"),
        _connected(status, now),
        _ready(stream),
        ",".join(entry["id"] for entry in playback),
    ]
    if figures is not None:
        row += [
            _health(stream, figures),
            figures.text("bitrate_bits", 1e6, "M"),
            status.get("activeAsset"),
            watch_page(playback[0]["url"]) if playback else "",
        ]
    return [*row, age(metadata.get("creationTimestamp"))]


def _health(stream: dict[str, Any], figures: Figures) -> str:
    """How well it comes in, and what is wrong with it."""
    problem = ingest_problem(stream)
    shown = (figures.health if figures.health != "unknown" else "", problem["reason"] if problem else "")
    return ", ".join(text for text in shown if text)


def _connected(status: dict[str, Any], now: float | None) -> str:
    """While the reconnect window is open, with how long it still is."""
    if status.get("connected"):
        return "yes"
    deadline = status.get("broadcast", {}).get("deadline")
    left = unix_time(deadline) - now if deadline and now is not None else 0
    return f"no ({left:.0f}s left)" if left > 0 else "no"


def _ready(stream: dict[str, Any]) -> object:
    """A disabled stream is as it should be, and takes no publisher: neither yes nor no."""
    ready = condition(stream, "Ready")
    return "" if ready.get("reason") == "Disabled" else ready.get("status") == "True"


@click.command()
@click.argument("name", required=False)
@click.option("-n", "--namespace", help="Only this namespace; all without it, default for NAME.")
@output_option("table", "wide", "json", "yaml")
@state_dir_option
def assets(name: str | None, namespace: str | None, output: str, state_dir: Path) -> None:
    """List Assets (recordings), the newest last, or show one."""
    with clear_errors():
        state = opened(state_dir)
    found = sorted(state.all("Asset", namespace or ("default" if name else None)), key=_began)
    if name:
        found = [asset for asset in found if asset["metadata"]["name"] == name]
        if not found:
            raise click.ClickException(f'no Asset "{name}" in namespace "{namespace or "default"}"; see onair assets')
    if output in ("json", "yaml"):
        shown = [for_people(value) for value in found]
        show_structured(shown[0] if name else shown, output)
        return
    figures = figures_if_running(state) if any(asset.get("status", {}).get("isLive") for asset in found) else {}
    rows = [asset_row(asset, figures, wide=output == "wide") for asset in found]
    show_table(_ASSET_WIDE if output == "wide" else _ASSET_COLUMNS, rows, "No recordings yet.")


def _began(asset: dict[str, Any]) -> tuple[str, str]:
    metadata = asset["metadata"]
    return asset.get("status", {}).get("startedAt") or metadata.get("creationTimestamp", ""), metadata["name"]


def asset_row(asset: dict[str, Any], figures: Mapping[tuple[str, str], Figures], *, wide: bool) -> list[object]:
    """One line of the table. `figures`: of the streams of the running process, by namespace and name."""
    metadata, status = asset["metadata"], asset.get("status", {})
    stream = asset["spec"].get("liveStream", {}).get("name")
    playback = status.get("playback", [])
    row: list[object] = [
        metadata["namespace"],
        metadata["name"],
        status.get("state"),
        status.get("isLive", False),
        _duration(status, figures.get((metadata["namespace"], stream), Figures()).media),
        stream,
        ",".join(entry["id"] for entry in playback),
    ]
    if wide:
        row.append(watch_page(playback[0]["url"]) if playback else "")
    return [*row, age(metadata.get("creationTimestamp"))]


def _duration(status: dict[str, Any], media: float | None) -> str:
    """While it grows, what the process says: status has its duration only now and then."""
    if status.get("isLive"):
        return "" if media is None else f"{duration(media)}+"
    return duration(status["duration"]) if "duration" in status else ""


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
    if output in ("json", "yaml"):
        url = {"url": f"{server}/{stream_key}"} if as_url else {}
        show_structured({"server": server, "streamKey": stream_key, **url}, output)
    elif as_url:
        click.echo(f"{server}/{stream_key}")
    else:
        click.echo(f"Server      {server}\nStream key  {stream_key}")
