"""What `onair local` says to the person who started it."""

from __future__ import annotations

import click

from onair_core.local_state import DEFAULT_STATE_DIR, LocalState
from onair_core.manifests import Problem
from onair_operator.local.addresses import Addresses
from onair_operator.local.control import Control


def report_problems(problems: list[Problem]) -> None:
    """Whenever the problems of the manifests change."""
    for problem in sorted(problems):
        click.secho(f"problem: {problem}", fg="red", err=True)
    if not problems:
        click.secho("manifests: no problems", fg="green", err=True)


def print_ready(state: LocalState, addresses: Addresses, control: Control) -> None:
    """Once, when publishers and viewers can come."""
    option = "" if state.folder == DEFAULT_STATE_DIR else f" --state-dir {state.folder}"
    click.echo("\nOnAir is ready.")
    for who, address, scope in (
        ("Encoders", f"{addresses.ingest('rtmp')} (or rtmps://)", addresses.rtmp_everywhere),
        ("Viewers", addresses.http, addresses.http_everywhere),
    ):
        click.echo(f"  {who:<9} {address}{', listening on all interfaces' if scope else ''}")
    click.echo("")
    streams = list(control.objects.all("LiveStream"))
    for stream in streams:
        metadata, status = stream["metadata"], stream.get("status", {})
        namespace = "" if metadata["namespace"] == "default" else f" -n {metadata['namespace']}"
        click.secho(f"  {metadata['name']}", bold=True)
        for entry in status.get("playback", []):
            click.echo(f"    watch    {addresses.http}/watch/{entry['id']}")
        click.echo(f"    publish  onair key {metadata['name']}{namespace}{option}")
    if streams:
        click.echo(f"\nNo encoder at hand? In another terminal: onair push NAME{option}    Ctrl-C stops.\n")
    else:
        click.echo("Nothing is served yet: there is no LiveStream. Add one, it is taken up at once.    Ctrl-C stops.\n")
