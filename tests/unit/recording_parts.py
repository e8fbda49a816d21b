"""What tests of recordings are made of."""

from __future__ import annotations

import asyncio

from onair_core.contract import BroadcastRef
from onair_media.cmaf import InitSegment, Part, Segment, TrackInfo, TrackSegment
from onair_media.recording import Origin, Recorder, Recording
from onair_media.store import ObjectStore

REF = BroadcastRef("keynote-abc234", 3)
ORIGIN = Origin(namespace="default", stream="keynote", stream_uid="u", created_at=1000.0)
VIDEO = TrackInfo("video", "avc1.64001f", 640, 360, frame_rate=30.0)
AUDIO = TrackInfo("audio", "mp4a.40.2", channels=2, sample_rate=48000)


class Listener:
    def __init__(self) -> None:
        self.ready = 0
        self.warnings: list[str] = []

    def recording_ready(self) -> None:
        self.ready += 1

    def recording_warning(self, reason: str, message: str) -> None:
        self.warnings.append(reason)


def track(number: int, name: str, size: int = 100) -> TrackSegment:
    data = f"{name}{number}".encode().ljust(size, b".")
    start = number * 2.0
    return TrackSegment(0, start, 2.0, 1000.0 + start, data, (Part(0, len(data), 2.0, True),))


def segment(number: int, *, discontinuity: bool = False, size: int = 100) -> Segment:
    return Segment(number, discontinuity, {"video": track(number, "v", size), "audio": track(number, "a", size)})


def inits() -> list[InitSegment]:
    return [InitSegment("video", 0, b"video init", VIDEO), InitSegment("audio", 0, b"audio init", AUDIO)]


def begin(store: ObjectStore, listener: Listener, ref: BroadcastRef = REF, **options: int) -> Recorder:
    recorder = Recorder(store, ref, Recording(ref.id, ORIGIN), listener, **options)
    for init in inits():
        recorder.add_init(init)
    return recorder


async def until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.001)
