"""A finished recording as something to play: the playlists that lie in its folder, and a table of sizes.

Twelve hours are 43 200 files. As a `Recording` that is 30 MB of objects and a third of a second of Python; here it is
the text that is served anyhow, and sixteen bytes for each file.
"""

from __future__ import annotations

import gzip
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from onair_core.playback.paths import parse_media_path
from onair_media.hls import Playlist
from onair_media.playback import Media
from onair_media.recording.model import FORMAT
from onair_media.recording.view import VOD_MAX_AGE, StoredMedia
from onair_media.store import ObjectStore, StoreError

_listed_playlist = re.compile(rb'(?:URI="|^)([a-z][a-z0-9-]*)\.m3u8(?="|$)', re.MULTILINE)


class _Track(msgspec.Struct):
    size: int
    gap: bool = False


class _Init(msgspec.Struct):
    epoch: int
    rendition: str
    index: int
    size: int


class _Segment(msgspec.Struct):
    epoch: int
    number: int
    tracks: dict[str, _Track]
    inits: tuple[_Init, ...] = ()


class _Document(msgspec.Struct):
    """`asset.json`. The segments stay raw: to decode them all in one call would hold up every other thread."""

    format: int
    segments: list[msgspec.Raw]


_document_decoder = msgspec.json.Decoder(_Document)
_segment_decoder = msgspec.json.Decoder(_Segment)

_Folder = tuple[int, str, bool]  # epoch, rendition, whether it is about init segments


class SizeTable:
    """Bytes of each file, by epoch, rendition and number."""

    def __init__(self, segments: Iterable[_Segment]) -> None:
        found: dict[_Folder, dict[int, int]] = {}
        for segment in segments:
            for init in segment.inits:
                found.setdefault((init.epoch, init.rendition, True), {})[init.index] = init.size
            for name, track in segment.tracks.items():
                if not track.gap:
                    found.setdefault((segment.epoch, name, False), {})[segment.number] = track.size
        self._tables: dict[_Folder, tuple[array[int], array[int]]] = {}
        for folder, sizes in found.items():
            numbers = sorted(sizes)
            self._tables[folder] = array("Q", numbers), array("Q", (sizes[number] for number in numbers))

    def size(self, folder: _Folder, number: int) -> int | None:
        """None: there is no such file."""
        numbers, sizes = self._tables.get(folder, (array("Q"), array("Q")))
        at = bisect_left(numbers, number)
        return sizes[at] if at < len(numbers) and numbers[at] == number else None

    @property
    def epochs(self) -> set[int]:
        return {epoch for epoch, _, _ in self._tables}

    @property
    def bytes_held(self) -> int:
        return sum(2 * numbers.itemsize * len(numbers) for numbers, _ in self._tables.values())


class FinishedView:
    """Playlists from memory, media from the store. `bytes_held` is about what it takes of memory."""

    def __init__(
        self, asset_id: str, store: ObjectStore, index: bytes, playlists: dict[str, Playlist], sizes: SizeTable
    ) -> None:
        self._asset_id = asset_id
        self._store = store
        self._index = index
        self._playlists = playlists
        self._sizes = sizes
        self._multivariants: dict[str, Playlist] = {}
        texts = sum(len(playlist.text) + len(playlist.gzipped) for playlist in playlists.values())
        self.bytes_held = 10_000 + texts + sizes.bytes_held

    def multivariant(self, playback_id: str) -> Playlist | None:
        if not self._playlists:
            return None
        known = self._multivariants.get(playback_id)
        if known is None:
            text = _listed_playlist.sub(lambda found: _below(found, playback_id), self._index)
            known = self._multivariants[playback_id] = Playlist(text, final=True, max_age=VOD_MAX_AGE)
        return known

    def media_playlist(self, rendition: str) -> Playlist | None:
        return self._playlists.get(rendition)

    async def media(self, path: str) -> Media | None:
        parts = parse_media_path(path)
        if parts is None or parts.broadcast != self._asset_id:
            return None
        size = self._sizes.size((parts.epoch, parts.rendition, parts.init), parts.number)
        return None if size is None else Media(size, StoredMedia(self._store, f"assets/{path}"))


def listed_renditions(index: bytes) -> list[str]:
    """The renditions whose playlists `index.m3u8` names."""
    return list(dict.fromkeys(name.decode() for name in _listed_playlist.findall(index)))


def build(
    asset_id: str, store: ObjectStore, document: bytes, index: bytes, playlists: dict[str, bytes]
) -> FinishedView:
    """From `asset.json`, `index.m3u8` and the media playlists by rendition. Long ones belong in a thread.

    Raises `StoreError` when the document makes no sense, or is of a format that is not known.
    """
    try:
        decoded = _document_decoder.decode(document)
        if decoded.format != FORMAT:
            raise StoreError(f"asset.json of {asset_id} has format {decoded.format}; {FORMAT} is known here")
        sizes = SizeTable(_segment_decoder.decode(raw) for raw in decoded.segments)
    except (msgspec.MsgspecError, OverflowError) as error:
        raise StoreError(f"asset.json of {asset_id} is damaged: {error}") from error
    made = {name: _as_served(asset_id, text, sizes.epochs) for name, text in playlists.items()}
    return FinishedView(asset_id, store, index, made, sizes)


def _as_served(asset_id: str, text: bytes, epochs: set[int]) -> Playlist:
    """The same text as while it grew, with its end: a player that has followed it must not see its type change."""
    text = text.replace(b"\n#EXT-X-PLAYLIST-TYPE:VOD\n", b"\n#EXT-X-PLAYLIST-TYPE:EVENT\n", 1)
    for epoch in epochs:
        inside, served = f"{epoch}/", f"{asset_id}/{epoch}/"
        text = text.replace(f"\n{inside}".encode(), f"\n{served}".encode())
        text = text.replace(f'URI="{inside}'.encode(), f'URI="{served}'.encode())
    playlist = Playlist(text, final=True, max_age=VOD_MAX_AGE, gzipped=gzip.compress(text, compresslevel=5, mtime=0))
    assert playlist.etag  # hashed here, not on the event loop
    return playlist


def _below(found: re.Match[bytes], playback_id: str) -> bytes:
    whole = found[0]
    at = found.start(1) - found.start()
    return whole[:at] + f"{playback_id}/".encode() + whole[at:]
