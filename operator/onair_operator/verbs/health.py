"""`onair health`."""

from __future__ import annotations

from pathlib import Path

import click

from onair_operator.verbs.common import (
    clear_errors,
    namespace_option,
    opened,
    output_option,
    show_structured,
    state_dir_option,
)
from onair_operator.verbs.figures import Figures, read_figures

_MEANING = {
    "excellent": "media keeps up with the clock",
    "good": "media is up to a second off its pace",
    "poor": "media is more than a second off its pace: look at the encoder's uplink and CPU",
    "unknown": "no encoder is publishing, or it has only begun",
}
_LINES = (
    ("Bitrate", "bitrate_bits", 1e6, " Mbit/s"),
    ("Frame rate", "frame_rate", 1, " frames/s"),
    ("Keyframe interval", "keyframe_interval_seconds", 1, " s"),
    ("Longest interval", "longest_keyframe_interval_seconds", 1, " s"),
    ("Drift", "drift_milliseconds", 1, " ms"),
    ("Drift deviation", "drift_deviation_milliseconds", 1, " ms"),
)


@click.command()
@click.argument("name")
@namespace_option
@output_option("table", "json", "yaml")
@state_dir_option
def health(name: str, namespace: str, output: str, state_dir: Path) -> None:
    """Show how well a stream comes in: bitrate, frame rate, keyframes, drift, what was dropped.

    Rated by how far media moves off the pace of the clock: excellent up to 500 ms, good up to a second, poor beyond.
    """
    with clear_errors():
        state = opened(state_dir)
        state.stream(namespace, name)
        figures = read_figures(state).get((namespace, name), Figures())
    if output in ("json", "yaml"):
        show_structured({"health": figures.health, **figures.values, "dropped": figures.dropped}, output)
        return
    click.echo(f"{'Health':<20}{figures.health}: {_MEANING[figures.health]}")
    for label, key, scale, unit in _LINES:
        text = figures.text(key, scale, unit)
        if text:
            click.echo(f"{label:<20}{text}")
    for reason, count in sorted(figures.dropped.items()):
        click.echo(f"{'Dropped':<20}{count} × {reason}")
