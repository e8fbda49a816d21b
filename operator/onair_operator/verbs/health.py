"""`onair health`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from onair_operator.verbs.common import (
    clear_errors,
    ingest_problem,
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
}
_LINES = (
    ("Bitrate", "bitrate_bits", 1e6, " Mbit/s"),
    ("Frame rate", "frame_rate", 1, " frames/s"),
    ("Keyframe interval", "keyframe_interval_seconds", 1, " s"),
    ("Longest interval", "longest_keyframe_interval_seconds", 1, " s"),
    ("Off its pace by", "drift_deviation_milliseconds", 1, " ms"),
)
# What is dropped of every connection until there is something to begin with.
_USUAL = frozenset({"sound before the first picture", "video before a key frame"})


@click.command()
@click.argument("name")
@namespace_option
@output_option("table", "json", "yaml")
@state_dir_option
def health(name: str, namespace: str, output: str, state_dir: Path) -> None:
    """Show how well a stream comes in: what is wrong, bitrate, frame rate, keyframes, what was dropped.

    Rated by how far media moves off its own pace of the last half minute: excellent up to 500 ms, good up to a second,
    poor beyond.
    """
    with clear_errors():
        state = opened(state_dir)
        problem = ingest_problem(state.stream(namespace, name))
        figures = read_figures(state).get((namespace, name), Figures())
    if output in ("json", "yaml"):
        shown = {"health": figures.health, "problem": problem, **figures.values, "dropped": figures.dropped}
        show_structured(shown, output)
        return
    for label, text in health_lines(figures, problem):
        click.echo(f"{label:<20}{text}")


def health_lines(figures: Figures, problem: dict[str, str] | None) -> Iterator[tuple[str, str]]:
    """Labels and what stands beside them; a dash is for what the stream does not have, or is not known yet."""
    if problem is not None:
        yield "Problem", f"{problem['reason']}: {problem['message']}"
    yield "Health", f"{figures.health}: {_MEANING.get(figures.health) or _why_unknown(figures)}"
    if figures.connected:
        for label, key, scale, unit in _LINES:
            yield label, figures.text(key, scale, unit) or "-"
    for reason, count in sorted(figures.dropped.items()):
        usual = " (usual at the beginning of a connection)" if reason in _USUAL else ""
        yield "Dropped", f"{count} × {reason}{usual}"


def _why_unknown(figures: Figures) -> str:
    if not figures.connected:
        return "no encoder is publishing"
    keyframes = figures.values.get("keyframes")
    if keyframes == 0:
        return "waiting for the first keyframe"
    if keyframes == 1:
        return f"waiting for the second keyframe, {figures.text('keyframe_interval_seconds', 1, ' s')} since the first"
    if not figures.values.get("bitrate_bits"):
        return "an encoder is connected, and has sent nothing yet"
    return "it has only begun, or nothing came for a while"
