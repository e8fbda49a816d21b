"""`onair push`."""

from __future__ import annotations

import re
import signal
import threading
from functools import partial
from pathlib import Path
from types import FrameType

import click

from onair_core.local_state import DEFAULT_STATE_DIR, LocalState

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


def _size(context: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,4})[x×](\d{2,4})", value)
    if found is None or not all(64 <= int(side) <= 4096 and int(side) % 2 == 0 for side in found.groups()):
        raise click.BadParameter(f'"{value}" is not a size such as 1280x720 (even, from 64 to 4096)')
    return int(found[1]), int(found[2])


def _bitrate(context: click.Context, param: click.Parameter, value: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([km]?)", value, re.IGNORECASE)
    bits = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if not 10_000 <= bits <= 100_000_000:
        raise click.BadParameter(f'"{value}" is not a bitrate such as 2500k or 4M')
    return bits


@click.command()
@click.argument("target", metavar="NAME|URL")
@click.option(
    "--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Publish this file instead."
)
@click.option("--loop", is_flag=True, help="Begin the file again at its end.")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Stop after this time."
)
@click.option(
    "--size", callback=_size, metavar="WxH", default="1280x720", show_default=True, help="Of the test pattern."
)
@click.option("--fps", type=click.IntRange(1, 60), default=30, show_default=True, help="Frames a second.")
@click.option(
    "--bitrate", callback=_bitrate, metavar="BITS", default="2500k", show_default=True, help="Of encoded video."
)
@click.option(
    "--gop", type=click.FloatRange(0.1, 20), default=2, show_default=True, metavar="SECONDS", help="Between keyframes."
)
@click.option("--audio-only", is_flag=True, help="Send no video.")
@click.option("--reconnect/--no-reconnect", default=True, show_default=True, help="After a lost connection.")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_STATE_DIR,
    show_default=True,
    envvar="ONAIR_STATE_DIR",
    help="Of the onair local that serves NAME.",
)
def push(
    target: str,
    file: Path | None,
    loop: bool,
    duration: float | None,
    size: tuple[int, int],
    fps: int,
    bitrate: int,
    gop: float,
    audio_only: bool,
    reconnect: bool,
    namespace: str,
    state_dir: Path,
) -> None:
    """Publish a test pattern with a clock and a beep, or a media file.

    NAME is a LiveStream of the onair local that runs here; when its key is reset meanwhile, the new one is used. URL is
    an rtmp:// or rtmps:// address with the stream key. H.264 and AAC of a file are sent as they are; everything else is
    transcoded. TLS certificates are not verified.
    """
    if loop and file is None:
        raise click.UsageError("--loop goes with --file")
    by_name = "://" not in target
    if not by_name and not target.startswith(("rtmp://", "rtmps://")):
        raise click.UsageError("URL begins with rtmp:// or rtmps://")

    from onair_media.push.encode import Source, VideoSettings
    from onair_media.push.file_source import FileError, FileSource
    from onair_media.push.pattern_source import PatternSource
    from onair_media.push.publisher import NoTargetError, Options, Publisher, PublishError
    from onair_media.push.target import of_stream, of_url, watch_pages

    settings = VideoSettings(size=size, fps=fps, bitrate=bitrate, gop_seconds=gop)
    title = target if by_name else ""
    where = partial(of_stream, LocalState(state_dir), namespace, target) if by_name else partial(of_url, target)
    stop = threading.Event()
    try:
        source: Source = (
            FileSource(file, settings, loop=loop, audio_only=audio_only)
            if file
            else PatternSource(settings, title=title, audio_only=audio_only)
        )
        click.echo(f"{title or 'to'}: {where().address}", err=True)
        for page in watch_pages(LocalState(state_dir), namespace, target) if by_name else ():
            click.echo(f"watch: {page}", err=True)
        publisher = Publisher(
            source, where, Options(duration, reconnect), stop=stop, say=lambda line: click.echo(line, err=True)
        )
        _stop_on_signals(stop)
        sent = publisher.run()
    except (FileError, NoTargetError, PublishError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"stopped after {sent:.0f} s", err=True)


def _stop_on_signals(stop: threading.Event) -> None:
    """The first SIGINT or SIGTERM stops in order, a second one at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
