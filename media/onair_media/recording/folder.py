"""Reading a recording from its folder: everything that can be known from what is in the store alone.

A folder may have been hurt: a power cut, a disk that ran full, a hand that deleted. What is left is read; what cannot
be played any more is left out and counted, and nothing is written on the strength of half of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import structlog

from onair_core.playback.paths import init_path, segment_path
from onair_core.playback.renditions import Rendition
from onair_media.recording.model import (
    FORMAT,
    AssetDocument,
    InitKey,
    InitRecord,
    Origin,
    Recording,
    SegmentRecord,
)
from onair_media.store import ObjectStore, StoreError

log = structlog.get_logger(__name__)

PARALLEL_REQUESTS = 32
_ASSETS = "assets/"
_T = TypeVar("_T")


class DamagedError(StoreError):
    """An object is there and makes no sense: to try again does not help."""


class UnknownFormatError(StoreError):
    """The folder is of another version than this one, which must neither guess at it nor write to it."""


class _Versioned(msgspec.Struct):
    format: int = 1


_version_decoder = msgspec.json.Decoder(_Versioned)
_segment_decoder = msgspec.json.Decoder(SegmentRecord)
_document_decoder = msgspec.json.Decoder(AssetDocument)
_origin_decoder = msgspec.json.Decoder(Origin)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a broadcast goes on in its next epoch. `media_end` in seconds of media time.

    `codecs`: RFC 6381 strings by rendition, as far as they are known.
    """

    media_end: float
    tracks: tuple[Rendition, ...] | None
    target_duration: int | None
    codecs: Mapping[Rendition, str] = field(default_factory=dict)


def folder(asset_id: str) -> str:
    """Where an asset's objects lie, with a slash at the end."""
    return f"{_ASSETS}{asset_id}/"


async def read_recording(store: ObjectStore, asset_id: str) -> Recording | None:
    """A recording from its folder, finished or not; None when there is none. Raises `StoreError`."""
    content = await store.get(f"{folder(asset_id)}asset.json")
    if content is not None:
        try:
            return await asyncio.to_thread(_from_document, asset_id, content)
        except DamagedError as error:
            log.warning("read from its manifest entries instead", asset=asset_id, problem=str(error))
    return await read_growing(store, asset_id)


async def read_growing(
    store: ObjectStore, asset_id: str, origin: Origin | None = None, *, before_epoch: int | None = None
) -> Recording | None:
    """A recording from its manifest entries, whether or not it is finished; None when there is none.

    Left out and counted are entries that are damaged, and those whose files are not there in full size. `origin`
    stands in for an `origin.json` that cannot be read. `before_epoch`: of earlier epochs alone, since what is being
    written meanwhile may be seen by half. Raises `StoreError`.
    """
    base = folder(asset_id)
    found = await read_origin(store, asset_id, origin)
    # Entries first: what they name is there by then, also where another process is adding to it.
    manifest = [path for path in await store.sizes(f"{base}manifest/") if _is_before(path, before_epoch)]
    sizes = await store.sizes(base)
    whose = found or (origin if manifest else None)
    if whose is None:
        return None
    contents = await _read_all(store, manifest)
    recording = await asyncio.to_thread(_from_entries, asset_id, whose, contents, sizes)
    if recording.damaged:
        log.warning("segments of a recording cannot be read", asset=asset_id, segments=recording.damaged)
    return recording


def _is_before(manifest_entry: str, epoch: int | None) -> bool:
    found = manifest_entry.split("/")[-2]
    return epoch is None or (found.isdecimal() and int(found) < epoch)


async def read_origin(store: ObjectStore, asset_id: str, instead: Origin | None = None) -> Origin | None:
    """Whose recording it is; None when there is none, `instead` when it is damaged.

    Raises `UnknownFormatError`, and `DamagedError` when there is no `instead`.
    """
    path = f"{folder(asset_id)}origin.json"
    content = await store.get(path)
    if content is None:
        return None
    try:
        _check_format(content, path)
        return _decode(_origin_decoder, content, path)
    except DamagedError:
        if instead is None:
            raise
        return instead


async def unfinished_recordings(store: ObjectStore, wanted: Callable[[str, Origin], bool]) -> list[str]:
    """The assets without `asset.json`, of those that are `wanted`. Raises `StoreError`.

    One listing, and one look into each folder.
    """
    left: list[str] = []

    async def look(asset_id: str) -> None:
        if await store.has(f"{folder(asset_id)}asset.json"):
            return
        try:
            origin = await read_origin(store, asset_id)
        except (DamagedError, UnknownFormatError) as error:
            log.warning("left as it is", asset=asset_id, problem=str(error))
            return
        if origin is not None and wanted(asset_id, origin):
            left.append(asset_id)

    await _in_parallel(look, await store.folders(_ASSETS))
    return left


async def _read_all(store: ObjectStore, paths: Iterable[str]) -> list[bytes]:
    """In no particular order."""
    contents: list[bytes] = []

    async def read(path: str) -> None:
        # Gone since it was listed: as damaged as if it were empty.
        contents.append(await store.get(path) or b"")

    await _in_parallel(read, paths)
    return contents


async def _in_parallel(work: Callable[[str], Awaitable[None]], items: Iterable[str]) -> None:
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(PARALLEL_REQUESTS):
                workers.create_task(worker())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


def _from_document(asset_id: str, content: bytes) -> Recording:
    path = f"{folder(asset_id)}asset.json"
    _check_format(content, path)
    document = _decode(_document_decoder, content, path)
    recording = Recording(asset_id, document.origin)
    for raw in document.segments:
        recording.add(_decode(_segment_decoder, raw, path))
    recording.fix_target_duration(document.target_duration)
    recording.end()
    return recording


def _from_entries(asset_id: str, origin: Origin, contents: list[bytes], sizes: dict[str, int]) -> Recording:
    recording = Recording(asset_id, origin)
    records = list(_decoded(contents))
    records.sort(key=lambda record: (record.epoch, record.number))
    inits: dict[InitKey, InitRecord] = {}
    for record in records:
        named = {init.key: init for init in record.inits if sizes.get(_init_object(asset_id, init)) == init.size}
        inits |= named
        needs = record.needs()
        if _is_whole(asset_id, record, sizes) and all(key in inits for key in needs):
            # Also those that only an entry named which is lost.
            known = named | {key: inits[key] for key in needs}
            recording.add(msgspec.structs.replace(record, inits=tuple(known.values())))
    recording.damaged = len(contents) - len(recording.segments)
    return recording


def _decoded(contents: list[bytes]) -> Iterator[SegmentRecord]:
    for content in contents:
        try:
            record = _segment_decoder.decode(content)
        except msgspec.MsgspecError:
            continue
        if record.tracks:
            yield record


def _init_object(asset_id: str, init: InitRecord) -> str:
    return f"{_ASSETS}{init_path(asset_id, init.epoch, init.rendition, init.index)}"


def _is_whole(asset_id: str, record: SegmentRecord, sizes: dict[str, int]) -> bool:
    return all(
        track.gap or sizes.get(f"{_ASSETS}{segment_path(asset_id, record.epoch, name, record.number)}") == track.size
        for name, track in record.tracks.items()
    )


def _check_format(content: bytes, path: str) -> None:
    found = _decode(_version_decoder, content, path).format
    if found != FORMAT:
        raise UnknownFormatError(f"{path} has format {found}; only {FORMAT} is known here.")


def _decode(decoder: msgspec.json.Decoder[_T], content: bytes | msgspec.Raw, path: str) -> _T:
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error
