"""The viewers of the soak: each reloads the live playlists, loads segments, and holds all of it against the rules."""

from __future__ import annotations

import http.client
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))
from hls_rules import Follower, same_discontinuities

RELOAD_SECONDS = 0.25
RENDITIONS = ("video", "audio")


class SoakViewer(threading.Thread):
    """Follows one live playback ID over one connection until `stop`; `failure` is the first rule that was broken."""

    def __init__(self, port: int, playback_id: str) -> None:
        super().__init__(daemon=True)
        self.followers = {name: Follower() for name in RENDITIONS}
        self.segments_loaded = 0
        self.failure: BaseException | None = None
        self._port, self._playback_id = port, playback_id
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        self.join(60)

    @property
    def segments(self) -> int:
        """How many were ever made, as far as it knows: they are numbered from 0 in each epoch."""
        last = self.followers["video"].last
        return 0 if last is None else (last.media_sequence + len(last.segments)) % 100_000

    @property
    def reloads(self) -> int:
        """Of all renditions."""
        return min(follower.reloads for follower in self.followers.values())

    def check(self) -> None:
        """Raises AssertionError: a number is missing, or the renditions differ."""
        for name, follower in self.followers.items():
            numbers = sorted(follower.by_number)
            assert numbers == list(range(numbers[0], numbers[-1] + 1)), f"{name}: a viewer has missed segments"
        same_discontinuities(self.followers.values())

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            while not self._stopped.wait(RELOAD_SECONDS):
                for name, follower in self.followers.items():
                    text = self._get(connection, f"{self._playback_id}/{name}.m3u8")
                    if text is not None:
                        newest = follower.see(text.decode()).segments[-1].uri
                        if self._get(connection, f"{self._playback_id}/{newest}"):
                            self.segments_loaded += 1
                        else:
                            raise AssertionError(f"{newest} is listed and not there")
        except BaseException as error:  # told to the main thread
            self.failure = error

    def _get(self, connection: http.client.HTTPConnection, path: str) -> bytes | None:
        """None while there is nothing to see."""
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else None
