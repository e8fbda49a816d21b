"""The `onair` command.

Its verbs are entry points of the group `onair.commands`; only the one that is called is loaded.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points, version

import click

GROUP = "onair.commands"

# `onair --help` must not import PyAV or aiohttp, so the short texts stand here.
_SHORT_HELP = {
    "assets": "List recordings.",
    "complete": "End a broadcast without waiting for its reconnect window.",
    "events": "Show what happened to a stream, and what happens.",
    "health": "Show how well a stream comes in.",
    "ingest": "Serve one channel: the process of an ingest pod.",
    "key": "Print a stream's server and stream key.",
    "local": "Serve manifests on this machine.",
    "operator": "Turn LiveStreams into ingest pods: the operator of a cluster.",
    "push": "Publish a test pattern or a media file.",
    "rotate-key": "Reset a stream's key.",
    "store": "Look after recordings in a store.",
    "streams": "List streams, or show one.",
    "validate": "Check manifests as the API server would.",
    "webhooks": "List webhook endpoints, or receive webhooks while developing.",
}


class _Verbs(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(_entry_points())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        found = _entry_points().get(name)
        if found is None:
            return None
        try:
            command = found.load()
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"onair {name} needs {error.name}, which is not installed; try: pip install 'onair[media,operator]'"
            ) from error
        if not isinstance(command, click.Command):
            raise click.ClickException(f"onair {name} is not a command")
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SHORT_HELP.get(name, "")) for name in self.list_commands(context)])


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("onair"), prog_name="onair")
def onair() -> None:
    """Live streaming as configuration: RTMP in, HLS out, declared in Git."""


def main() -> None:
    """The console script."""
    try:
        onair(prog_name="onair")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
