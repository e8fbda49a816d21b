"""A recording's media playlist while it grows: each reload costs what is new, not what is there.

Twelve hours are 21 600 segments and 3 MB of text: rendering, compressing and hashing that anew for every
segment is more than a core can do for a few dozen channels. So text, gzip stream and hash are carried on.
"""

from __future__ import annotations

import zlib
from hashlib import sha256

from onair_media.hls.playlist import (
    ENDLIST,
    Entry,
    Header,
    Playlist,
    PlaylistKind,
    entry_lines,
    header_lines,
    live_max_age,
)

_GZIP = 16 + zlib.MAX_WBITS

VOD_MAX_AGE = 3600
"""Seconds a cache may serve a finished recording's playlists: they never change, but may be deleted."""


class GrowingPlaylist:
    """EVENT playlist of one rendition of a recording, and in the end its VOD: entries are only ever appended.

    Media sequence and discontinuity sequence count from 0: nothing is ever removed (section 4.4.3.5).
    `target_duration` in seconds. `prefix` stands before every URI.
    """

    def __init__(self, target_duration: int, *, prefix: str = "") -> None:
        self._target_duration = target_duration
        self._prefix = prefix
        self._independent = True
        self._ended = False
        self._map: str | None = None
        self._lines = bytearray()
        self._compressor = zlib.compressobj(5, zlib.DEFLATED, _GZIP)
        self._compressed = bytearray()
        self._hash = sha256()
        self._rendered: Playlist | None = None
        self._start_over()

    def append(self, entry: Entry, *, independent: bool = True) -> None:
        """List one more segment. `independent`: needs no other to be decoded; the first that does withdraws the claim.

        Raises ValueError after `end()`: EXT-X-ENDLIST is final.
        """
        if self._ended:
            raise ValueError("the playlist has ended")
        if not independent and self._independent:
            self._independent = False
            self._start_over()
        lines = entry_lines(entry, map_before=self._map, prefix=self._prefix).encode()
        self._map = entry.map_uri
        self._lines += lines
        self._compressed += self._compressor.compress(lines)
        self._hash.update(lines)
        self._rendered = None

    def end(self) -> None:
        """The recording is complete: EXT-X-ENDLIST, for good."""
        self._ended = True
        self._rendered = None

    @property
    def empty(self) -> bool:
        return self._map is None

    @property
    def ended(self) -> bool:
        return self._ended

    def playlist(self) -> Playlist:
        """The playlist as it stands now; the same object until something changes."""
        if self._rendered is None:
            self._rendered = self._render()
        return self._rendered

    def text(self, kind: PlaylistKind = "EVENT") -> bytes:
        """The whole text, for a static file (`VOD`) or as served (`EVENT`)."""
        return self._head(kind) + bytes(self._lines) + self._tail

    @property
    def _tail(self) -> bytes:
        return ENDLIST.encode() if self._ended else b""

    def _head(self, kind: PlaylistKind) -> bytes:
        header = Header(self._target_duration, kind=kind, independent=self._independent)
        return header_lines(header).encode()

    def _start_over(self) -> None:
        """Begin gzip stream and hash anew, because the head of the text has changed."""
        head = self._head("EVENT")
        self._compressor = zlib.compressobj(5, zlib.DEFLATED, _GZIP)
        self._compressed = bytearray(self._compressor.compress(head))
        self._compressed += self._compressor.compress(self._lines)
        self._hash = sha256(head)
        self._hash.update(self._lines)

    def _render(self) -> Playlist:
        compressor = self._compressor.copy()
        digest = self._hash.copy()
        digest.update(self._tail)
        return Playlist(
            self.text(),
            final=self._ended,
            max_age=VOD_MAX_AGE if self._ended else live_max_age(self._target_duration),
            digest=digest.hexdigest(),
            gzipped=bytes(self._compressed) + compressor.compress(self._tail) + compressor.flush(),
        )
