"""Reading a recording's folder and finishing it: everything that can be done from what is in the store alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from onair_core.playback.paths import init_path, segment_path
from onair_core.playback.renditions import Rendition
from onair_media.hls import Entry, Header, media_playlist, multivariant_playlist
from onair_media.recording.model import AssetDocument, Origin, Recording, SegmentRecord
from onair_media.store import ObjectStore, StoreError

PARALLEL_READS = 32
_T = TypeVar("_T")
_segment_decoder = msgspec.json.Decoder(SegmentRecord)
_document_decoder = msgspec.json.Decoder(AssetDocument)
_origin_decoder = msgspec.json.Decoder(Origin)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a broadcast goes on in its next epoch. `media_end` in seconds of media time."""

    media_end: float
    tracks: tuple[Rendition, ...] | None
    target_duration: int | None


def folder(asset_id: str) -> str:
    """Where an asset's objects lie, with a slash at the end."""
    return f"assets/{asset_id}/"


async def read_recording(store: ObjectStore, asset_id: str) -> Recording | None:
    """A recording from its folder, finished or not; None when there is none. Raises `StoreError`."""
    base = folder(asset_id)
    finished = await store.get(f"{base}asset.json")
    if finished is not None:
        document = _decode(_document_decoder, finished, f"{base}asset.json")
        recording = Recording(asset_id, document.origin)
        for segment in document.segments:
            recording.add(segment)
        recording.fix_target_duration(document.target_duration)
        recording.end()
        return recording
    origin = await store.get(f"{base}origin.json")
    if origin is None:
        return None
    recording = Recording(asset_id, _decode(_origin_decoder, origin, f"{base}origin.json"))
    for record in await _read_manifests(store, base):
        recording.add(record)
    return recording


async def finish_recording(store: ObjectStore, recording: Recording) -> None:
    """Writes what makes the folder a plain HLS recording. May be repeated; `asset.json`, the last, says it is done."""
    recording.end()
    base = folder(recording.id)
    if recording.segments:
        for rendition in recording.renditions:
            text = static_playlist(recording, rendition)
            await store.put(f"{base}{rendition}.m3u8", text.encode())
        index = multivariant_playlist(recording.tracks, recording.bandwidth)
        await store.put(f"{base}index.m3u8", index.encode())
    await store.put(f"{base}asset.json", msgspec.json.encode(recording.document()))


async def delete_recording(store: ObjectStore, asset_id: str) -> None:
    """Deletes a recording's objects. The folder is unplayable from the first moment on."""
    base = folder(asset_id)
    await store.delete([f"{base}index.m3u8", f"{base}asset.json"])
    await store.delete([path async for path in store.paths(base)])


def static_playlist(recording: Recording, rendition: Rendition) -> str:
    """The playlist as it lies in the folder: URIs are relative to it."""
    own = f"{recording.id}/"
    entries = []
    for index, record in enumerate(recording.segments):
        track = record.tracks.get(rendition)
        if track is None:
            continue
        entries.append(
            Entry(
                uri=segment_path(recording.id, record.epoch, rendition, record.number).removeprefix(own),
                map_uri=init_path(recording.id, record.epoch, rendition, track.init).removeprefix(own),
                duration=track.duration,
                program_date_time=track.date,
                discontinuity=record.discontinuity and index > 0,
                gap=track.gap,
            )
        )
    header = Header(recording.target_duration or 1, kind="VOD")
    return media_playlist(header, entries, ended=True)


async def _read_manifests(store: ObjectStore, base: str) -> list[SegmentRecord]:
    paths = [path async for path in store.paths(f"{base}manifest/")]
    limit = asyncio.Semaphore(PARALLEL_READS)

    async def read(path: str) -> SegmentRecord | None:
        async with limit:
            content = await store.get(path)
        return None if content is None else _decode(_segment_decoder, content, path)

    records = [record for record in await asyncio.gather(*map(read, paths)) if record is not None]
    return sorted(records, key=lambda record: (record.epoch, record.number))


def _decode(decoder: msgspec.json.Decoder[_T], content: bytes, path: str) -> _T:
    try:
        return decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path} is damaged: {error}") from error
