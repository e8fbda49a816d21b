"""The stream that must not notice what happens beside it, and the viewer who would.

The viewer has a thread and a loop of its own: what keeps the attackers busy must not look like a delay of the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import av
from fmp4_rules import Continuity, boxes
from hls_rules import Follower, same_discontinuities
from service import Service

TARGET_DURATION = 2
RELOAD_SECONDS = 0.2
# What two cores may take away from the encoder, the viewer and the server together while the attackers have them, too.
LOADED_MACHINE_SECONDS = 1.0
# A server shall show a new segment within 1.5 target durations (RFC 8216bis 6.2.1); the viewer sees it a reload later.
LATE_SECONDS = 1.5 * TARGET_DURATION + RELOAD_SECONDS + LOADED_MACHINE_SECONDS
# Of one request: the event loop was somewhere else for as long.
LATENCY_SECONDS = 2.0


class Waiting:
    """The longest wait for something, the present one included."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._longest = 0.0

    def begins(self) -> None:
        self._since = time.monotonic()

    def ends(self) -> None:
        self._longest, self._since = self.longest, None

    def forget(self) -> None:
        """A wait that has begun goes on."""
        self._longest = 0.0

    @property
    def longest(self) -> float:
        since = self._since
        return max(self._longest, 0.0 if since is None else time.monotonic() - since)


@dataclass
class Rendition:
    """One media playlist as the viewer has seen it, and every segment of it."""

    url: str
    follower: Follower = field(default_factory=Follower)
    for_segment: Waiting = field(default_factory=Waiting)
    for_answer: Waiting = field(default_factory=Waiting)
    continuity: Continuity = field(default_factory=Continuity)
    init: bytes = b""

    async def reload(self, session: aiohttp.ClientSession) -> None:
        known = set(self.follower.by_number)
        self.follower.see((await self._get(session, self.url)).decode())
        new = sorted(self.follower.by_number.keys() - known)
        if new:
            self.for_segment.ends()
            self.for_segment.begins()
        for number in new:
            segment = self.follower.by_number[number]
            assert not segment.gap, f"segment {number} is a gap"
            if not self.init:
                self.init = await self._get(session, urljoin(self.url, segment.map_uri))
                assert {b"ftyp", b"moov"} <= {kind for kind, _, _ in boxes(self.init)}
            self.continuity.take(await self._get(session, urljoin(self.url, segment.uri)))

    async def _get(self, session: aiohttp.ClientSession, url: str) -> bytes:
        self.for_answer.begins()
        async with session.get(url) as answer:
            data = await answer.read()
            assert answer.status == 200, f"{answer.status} for {url}"
        self.for_answer.ends()
        return data

    def decoded(self) -> int:
        """Frames that a decoder makes of all that was seen; it raises where it finds something broken."""
        count = 0
        with av.open(io.BytesIO(self.init + b"".join(self.continuity.media))) as container:
            container.streams[0].codec_context.options = {"err_detect": "explode"}
            for frame in container.decode(container.streams[0]):
                assert not getattr(frame, "is_corrupt", False)
                count += 1
        return count


class Healthy:
    """Use as a context manager; `renditions` by name. `bound_mb` is what the server may grow by, peaks included."""

    def __init__(self, service: Service, renditions: dict[str, str], bound_mb: float) -> None:
        self.renditions = {name: Rendition(url) for name, url in renditions.items()}
        self._process = Path(f"/proc/{service.pid}")
        self._bound = bound_mb
        self._before = self._megabytes("VmRSS")
        self._over = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)

    def __enter__(self) -> Healthy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def _watch(self) -> None:
        try:
            async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
                for rendition in self.renditions.values():
                    tasks.create_task(self._follow(rendition, session))
        except BaseExceptionGroup as problems:
            self._problem = problems.exceptions[0]

    async def _follow(self, rendition: Rendition, session: aiohttp.ClientSession) -> None:
        rendition.for_segment.begins()
        while not self._over.is_set():
            await rendition.reload(session)
            await asyncio.sleep(RELOAD_SECONDS)

    @property
    def seen(self) -> dict[str, int]:
        return {name: len(rendition.follower.by_number) for name, rendition in self.renditions.items()}

    @contextlib.contextmanager
    def unharmed(self, *, bound_mb: float | None = None) -> Iterator[None]:
        """Nothing that happens in here, and nothing that has begun before, may be noticed."""
        for rendition in self.renditions.values():
            rendition.for_segment.forget()
            rendition.for_answer.forget()
        with contextlib.suppress(PermissionError):  # then the peak is that of the process's whole life
            (self._process / "clear_refs").write_text("5")
        yield
        self.has_not_noticed(self._bound if bound_mb is None else bound_mb)

    def has_not_noticed(self, bound_mb: float) -> None:
        if self._problem is not None:
            raise AssertionError(f"the viewer found: {self._problem!r}") from self._problem
        for name, rendition in self.renditions.items():
            longest, latency = rendition.for_segment.longest, rendition.for_answer.longest
            assert latency < LATENCY_SECONDS, f"{name}: an answer took {latency:.1f} s"
            assert longest < LATE_SECONDS, f"{name}: no new segment for {longest:.1f} s"
            assert not rendition.follower.discontinuities, f"{name}: a discontinuity"
        same_discontinuities(rendition.follower for rendition in self.renditions.values())
        grown = self._megabytes("VmHWM") - self._before
        assert grown < bound_mb, f"the server has grown by {grown:.0f} MB"

    def _megabytes(self, what: str) -> float:
        return int((self._process / "status").read_text().partition(f"{what}:")[2].split()[0]) / 1024
