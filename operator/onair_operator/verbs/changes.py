"""`onair complete` and `onair rotate-key`."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path

import click

from onair_core.local_state import LocalState
from onair_operator.local.bookkeeping import SOURCE, noted
from onair_operator.local.requests import CompleteRequest, submit
from onair_operator.verbs.common import (
    clear_errors,
    namespace_option,
    opened,
    output_option,
    show_structured,
    state_dir_option,
)

PATIENCE_SECONDS = 10.0


@click.command()
@click.argument("name")
@namespace_option
@output_option("text", "json", "yaml")
@state_dir_option
def complete(name: str, namespace: str, output: str, state_dir: Path) -> None:
    """End a stream's broadcast without waiting for its reconnect window.

    The recording becomes final at once. An encoder that is still publishing is cut after 60 seconds; what it sends
    until then is not kept.
    """
    with clear_errors():
        state = opened(state_dir)
        stream = state.stream(namespace, name)
    broadcast = stream.get("status", {}).get("broadcast", {}).get("id")
    if broadcast is None:
        raise click.ClickException(f"{name} has no open broadcast")
    file = submit(state.requests, CompleteRequest(namespace=namespace, name=name, broadcast=broadcast))
    running = state.is_running()
    ended = running and _await(lambda: not file.exists() and _broadcast_of(state, namespace, name) != broadcast)
    if output != "text":
        show_structured({"broadcast": broadcast, "complete": ended}, output)
    elif not running:
        click.echo(f"onair local is not running: broadcast {broadcast} ends when it starts again.")
    else:
        click.echo(f"Broadcast {broadcast} is complete." if ended else f"Broadcast {broadcast} is being completed.")


@click.command("rotate-key")
@click.argument("name")
@namespace_option
@output_option("text", "json", "yaml")
@state_dir_option
def rotate_key(name: str, namespace: str, output: str, state_dir: Path) -> None:
    """Reset a stream's key: the old one stops working, and a publisher that used it is cut.

    Changes spec.streamKey.rotation in the manifest that declares the stream, and nothing else in it. Commit that
    change where the manifest is kept in Git, and never revert it: with an earlier rotation the earlier key works again.
    """
    with clear_errors():
        state = opened(state_dir)
        stream = state.stream(namespace, name)
    reference = stream["spec"].get("streamKey", {}).get("secretRef")
    if reference is not None:
        raise click.ClickException(f"{name} has a key of your own: change it in Secret {reference['name']}")
    source = noted(stream, SOURCE)
    if source is None or not Path(source).is_file():
        raise click.ClickException(f"the manifest of {name} ({source}) is not there")
    rotation = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    from onair_operator.local.edit import EditError, set_rotation

    try:
        set_rotation(Path(source), namespace, name, rotation)
    except EditError as error:
        raise click.ClickException(str(error)) from error

    def applied() -> bool:
        now = state.read("LiveStream", namespace, name) or {}
        asked = now.get("spec", {}).get("streamKey", {}).get("rotation")
        observed = now.get("status", {}).get("observedGeneration")
        return bool(asked == rotation and observed == now["metadata"]["generation"])

    running = state.is_running()
    if output == "text":
        click.echo(f"{source}: spec.streamKey.rotation is now {rotation!r}.")
        click.echo("Commit this. Going back to an earlier value makes its key work again.")
    done = running and _await(applied)
    if output != "text":
        show_structured({"file": source, "rotation": rotation, "reset": done}, output)
    elif not running:
        click.echo("onair local is not running: the key changes when it starts again.")
    elif done:
        click.echo(f"The key is reset; onair key {name} prints the new one.")
    else:
        click.echo("onair local has not taken it up yet; see its output.")


def _broadcast_of(state: LocalState, namespace: str, name: str) -> str | None:
    stream = state.read("LiveStream", namespace, name) or {}
    found = stream.get("status", {}).get("broadcast", {}).get("id")
    return found if isinstance(found, str) else None


def _await(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(0.1)
    return False
