"""A recording as one MP4: its segments put into another container, without encoding anything anew."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.packet import Packet

from onair_core.playback.paths import init_path, segment_path
from onair_core.playback.renditions import Rendition
from onair_media.recording import Recording, read_recording
from onair_media.store import ObjectStore, StoreError
from onair_media.tasks.work import Refused, is_of

Fetch = Callable[[str], bytes]
Progress = Callable[[float], None]
"""Told now and then: seconds of media that are done, of `Recording.duration`."""


@dataclass(frozen=True, slots=True)
class Exported:
    """`duration` in seconds, `size` in bytes."""

    duration: float
    size: int


async def export(
    store: ObjectStore,
    asset: str,
    target: Path,
    *,
    namespace: str | None = None,
    begins: Callable[[float], None] = lambda _: None,
    progress: Progress = lambda _: None,
) -> Exported:
    """Writes the recording as it is now to `target`, whole or not at all. `begins`: told how many seconds there are.

    Raises `StoreError`, `Refused`, `OSError`.
    """
    await is_of(store, asset, namespace)
    recording = await read_recording(store, asset)
    if recording is None or not recording.segments:
        raise Refused(f"there is nothing of a recording {asset}")
    begins(recording.duration)
    loop = asyncio.get_running_loop()

    async def get(path: str) -> bytes:
        found = await store.get(f"assets/{path}")
        if found is None:
            raise StoreError(f"{path} is missing")
        return found

    def fetch(path: str) -> bytes:
        return asyncio.run_coroutine_threadsafe(get(path), loop).result()

    unfinished = target.with_name(f".{target.name}.part")
    try:
        await asyncio.to_thread(remux, recording, fetch, unfinished, progress)
        unfinished.replace(target)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return Exported(recording.duration, target.stat().st_size)


def remux(recording: Recording, fetch: Fetch, target: Path, progress: Progress) -> None:
    """`fetch(path)`: the bytes of a media path. Raises `Refused`, and what `fetch` raises."""
    sources = [_Source(recording, rendition, fetch) for rendition in recording.renditions]
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}))
        streams = []
        for source in sources:
            opened = stack.enter_context(av.open(source, "r", format="mp4"))
            streams.append((opened, out.add_stream_from_template(opened.streams[0])))
        first: float | None = None
        told = 0.0
        for at, index, packet in heapq.merge(*(_packets(opened, n) for n, (opened, _) in enumerate(streams))):
            first = at if first is None else first
            _begin_at_zero(packet, first)
            packet.stream = streams[index][1]
            out.mux(packet)
            if at - first >= told + 1.0:
                told = at - first
                progress(min(told, recording.duration))  # where the encoder was away media time may be ahead
        progress(recording.duration)


def _packets(opened: av.container.InputContainer, index: int) -> Iterator[tuple[float, int, Packet[Any]]]:
    """In decoding order, with the seconds by which they are merged. No two of one source are at the same time."""
    for packet in opened.demux(opened.streams[0]):
        if packet.dts is not None and packet.time_base is not None:
            yield float(packet.dts * packet.time_base), index, packet


def _begin_at_zero(packet: Packet[Any], first: float) -> None:
    assert packet.time_base is not None
    offset = round(first / packet.time_base)
    if packet.dts is not None:
        packet.dts -= offset
    if packet.pts is not None:
        packet.pts -= offset


class _Source:
    """One rendition as a file that is read once, from its beginning: its init segment, and all that follows it."""

    def __init__(self, recording: Recording, rendition: Rendition, fetch: Fetch) -> None:
        self._chunks = self._read(recording, rendition, fetch)
        self._left = b""

    def read(self, size: int) -> bytes:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._left = chunk
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    @staticmethod
    def _read(recording: Recording, rendition: Rendition, fetch: Fetch) -> Iterator[bytes]:
        begun: bytes | None = None
        in_force: tuple[int, int] | None = None
        seconds = 0.0
        for segment in recording.segments:
            track = segment.tracks.get(rendition)
            if track is not None and not track.gap:
                if (segment.epoch, track.init) != in_force:
                    in_force = segment.epoch, track.init
                    init = fetch(init_path(recording.id, segment.epoch, rendition, track.init))
                    if begun is None:
                        begun = init
                        yield init
                    elif init != begun:
                        at = f"{int(seconds) // 60}:{int(seconds) % 60:02}"
                        raise Refused(f"its {rendition} is another one from {at} on, which one MP4 cannot hold")
                yield fetch(segment_path(recording.id, segment.epoch, rendition, segment.number))
            seconds += segment.lead.duration
