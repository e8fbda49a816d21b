"""What a live playback ID offers right now: the running broadcast, or the last one that ended.

When a broadcast has ended, its last playlist stays until the next one is playable or `clear()` is called.
"""

from __future__ import annotations

from onair_core.contract import BroadcastRef
from onair_media.cmaf.model import InitSegment, Segment
from onair_media.hls.bandwidth import Bandwidth
from onair_media.hls.broadcast import BroadcastWindow
from onair_media.hls.playlist import Playlist, live_max_age, media_playlist, multivariant_playlist

DEFAULT_MAX_BYTES = 512 * 1024 * 1024


class LiveWindow:
    """The live playlists and media of one channel; every playback ID of the channel shares it.

    `window_seconds`: how much is listed (at least six segments and three target durations in any case).
    `max_bytes`: above it media is dropped earlier than that, as far as RFC 8216bis permits.
    """

    def __init__(self, window_seconds: float = 30.0, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._window_seconds = window_seconds
        self._max_bytes = max_bytes
        self._current: BroadcastWindow | None = None
        self._previous: BroadcastWindow | None = None
        self._multivariants: dict[str, Playlist] = {}
        self._media_playlists: dict[str, Playlist] = {}

    # What happens.

    def begin(self, broadcast: BroadcastRef, target_duration: int | None = None) -> None:
        """A broadcast begins, or goes on in a new epoch. `target_duration`: what an earlier epoch has fixed.

        What was offered before stays up, with EXT-X-ENDLIST if it was another broadcast, until this one is
        playable.
        """
        before = self._current
        if before is not None and before.playable:
            before.ended = before.ended or before.ref.id != broadcast.id
            self._previous = before
        self._current = BroadcastWindow(
            broadcast, target_duration, window_seconds=self._window_seconds, max_bytes=self._max_bytes
        )
        self._changed()

    def fix_target_duration(self, seconds: int) -> None:
        """The first playlist may be served: from here on the broadcast is playable, and the value stays.

        Raises RuntimeError outside a broadcast, ValueError for another value than the one already fixed.
        """
        self._running().fix_target_duration(seconds)
        self._changed()

    def add_init(self, init: InitSegment) -> None:
        """Store an init segment; it comes before the first segment that needs it."""
        self._running().add_init(init)

    def add_segment(self, segment: Segment) -> None:
        """List a segment. Raises KeyError if it lacks a rendition that the broadcast began with."""
        current = self._running()
        current.add_segment(segment)
        self._drop_previous(current)
        self._changed()

    def end(self) -> None:
        """The broadcast is over: EXT-X-ENDLIST, and nothing is added to it any more."""
        if self._current is not None:
            self._current.ended = True
            self._changed()

    def clear(self) -> None:
        """Forget everything that has ended; a running broadcast stays."""
        self._previous = None
        if self._current is not None and self._current.ended:
            self._current = None
        self._changed()

    # What is offered.

    @property
    def playable(self) -> bool:
        """Whether there are playlists: live ones, or the last ones of a broadcast that has ended."""
        return self._shown is not None

    @property
    def ended(self) -> bool:
        """Whether what is offered ends with EXT-X-ENDLIST."""
        return self._shown is not None and self._shown.ended

    @property
    def bandwidth(self) -> Bandwidth:
        """Measured rate of all renditions together; zero while nothing is playable."""
        return Bandwidth() if self._shown is None else self._shown.bandwidth

    @property
    def stored_bytes(self) -> int:
        """Bytes of media held in memory."""
        return sum(held.stored_bytes for held in (self._current, self._previous) if held is not None)

    @property
    def too_large(self) -> bool:
        """Whether the least that a live playlist has to list took more than `max_bytes` with the newest segment."""
        return self._current is not None and self._current.too_large

    def multivariant(self, playback_id: str) -> Playlist | None:
        """`/{playback id}.m3u8`, rendered once per change; None while nothing is playable."""
        cached = self._multivariants.get(playback_id)
        if cached is None and (shown := self._shown) is not None:
            text = multivariant_playlist(shown.tracks(), shown.bandwidth, prefix=f"{playback_id}/")
            cached = self._multivariants[playback_id] = _playlist(text, shown)
        return cached

    def media_playlist(self, rendition: str) -> Playlist | None:
        """`/{playback id}/{rendition}.m3u8`, rendered once per change; None if there is none now."""
        cached = self._media_playlists.get(rendition)
        if cached is None and (shown := self._shown) is not None:
            name = next((name for name in shown.renditions if name == rendition), None)
            if name is None:
                return None
            text = media_playlist(shown.header(), shown.entries(name), ended=shown.ended)
            cached = self._media_playlists[name] = _playlist(text, shown)
        return cached

    def media(self, path: str) -> bytes | None:
        """A stored segment or init segment by its media path (`<broadcast>/<epoch>/<rendition>/<file>`)."""
        for held in (self._current, self._previous):
            if held is not None and (data := held.media(path)) is not None:
                return data
        return None

    # How it is kept.

    @property
    def _shown(self) -> BroadcastWindow | None:
        current = self._current
        return current if current is not None and current.playable else self._previous

    def _running(self) -> BroadcastWindow:
        if self._current is None or self._current.ended:
            raise RuntimeError("no broadcast is running")
        return self._current

    def _changed(self) -> None:
        self._multivariants.clear()
        self._media_playlists.clear()

    def _drop_previous(self, current: BroadcastWindow) -> None:
        """Not at once: a viewer may still be loading what the previous broadcast's last playlist lists."""
        previous = self._previous
        if previous is not None and current.playable and current.media_seconds >= previous.listed_seconds:
            self._previous = None


def _playlist(text: str, shown: BroadcastWindow) -> Playlist:
    assert shown.target_duration is not None
    return Playlist(text.encode(), final=shown.ended, max_age=live_max_age(shown.target_duration))
