"""What the verbs share: options, lookups with clear errors, tables."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from onair_core.local_state import DEFAULT_STATE_DIR, LocalState, LocalStateError
from onair_operator.decide.times import unix_time

_F = TypeVar("_F", bound=Callable[..., Any])

state_dir_option = click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_STATE_DIR,
    show_default=True,
    envvar="ONAIR_STATE_DIR",
    help="The state folder of onair local.",
)
namespace_option = click.option("-n", "--namespace", default="default", show_default=True, help="The namespace.")


def output_option(*choices: str) -> Callable[[_F], _F]:
    """`-o`; the first choice is the default."""
    return click.option(
        "-o", "--output", type=click.Choice(choices), default=choices[0], show_default=True, help="How it is shown."
    )


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """What is not there is one clear line, not a traceback."""
    try:
        yield
    except LocalStateError as error:
        raise click.ClickException(str(error)) from error


def opened(state_dir: Path) -> LocalState:
    """The state folder. Raises `LocalStateError`."""
    state = LocalState(state_dir)
    state.require()
    return state


def show_structured(value: Any, output: str) -> None:
    """JSON or YAML."""
    if output == "json":
        click.echo(json.dumps(value, indent=2))
    else:
        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Aligned columns, as kubectl shows them."""
    if not rows:
        click.echo(empty, err=True)
        return
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        click.echo("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def age(text: str | None) -> str:
    """How long ago, as kubectl says it."""
    if not text:
        return ""
    seconds = max(0, int(time.time() - unix_time(text)))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7200:
        return f"{seconds // 60}m"
    if seconds < 172_800:
        return f"{seconds // 3600}h"
    return f"{seconds // 86_400}d"


def duration(seconds: float) -> str:
    """`0:42`, `1:02:03`."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def note_if_stopped(state: LocalState) -> None:
    """Says so when what is shown is the last word of a process that is gone."""
    if not state.is_running():
        click.echo("note: onair local is not running; this is how it was left", err=True)


def condition(value: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition of an object; empty when it has none of that type."""
    found: list[dict[str, Any]] = value.get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind), {})


def ingest_problem(stream: dict[str, Any]) -> dict[str, str] | None:
    """What is wrong with what a stream's encoder sends, or was cut off for: its reason and message."""
    found = condition(stream, "IngestHealthy")
    return {"reason": found["reason"], "message": found["message"]} if found.get("status") == "False" else None


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
