"""Listens for viewers, and keeps them within limits: how many, from where, how slow."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import structlog
from aiohttp import web

from onair_media.playback.express import Connection
from onair_media.playback.limits import Crowd, Limits
from onair_media.playback.metrics import PlaybackMetrics
from onair_media.playback.playable import Playable

log = structlog.get_logger(__name__)

SWEEP_BATCH = 2_000
"""Connections that are looked at in one go: two milliseconds."""

SWEEP_SECONDS = 5.0
"""From one look at all connections to the next."""

SWEEP_PAUSE_SECONDS = 0.02


class PlaybackServer:
    """`runner` (set up by the caller) serves what does not go the short way (`express`).

    `at_hand` finds a playable without waiting; None leaves the request to the runner.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        at_hand: Callable[[str], Playable | None],
        metrics: PlaybackMetrics,
        limits: Limits | None = None,
        *,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self.at_hand = at_hand
        self.metrics = metrics
        self._runner = runner
        self._sweep_seconds = sweep_seconds
        self._crowd = Crowd(limits or Limits())
        self._turned_away = 0
        self._connections: set[Connection] = set()
        self._to_visit: list[Connection] = []
        self._listening: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None

    async def listen(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen there as well; returns the port (for `port` 0 a free one). Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), host, port, ssl=tls, backlog=1024)
        self._listening.append(server)
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._sweep_seconds, self._sweep)
        return int(server.sockets[0].getsockname()[1])

    @property
    def limits(self) -> Limits:
        """Those in force; set them, and they hold at once, for connections that are there too."""
        return self._crowd.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._crowd.limits = limits

    async def close(self) -> None:
        """Stop listening and close what goes the short way; the runner's connections are the runner's."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._listening:
            server.close()
        self._listening.clear()
        for connection in list(self._connections):
            connection.close()

    @property
    def connections(self) -> int:
        """How many viewers hold one, idle or not."""
        return len(self._connections)

    # For connections

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for it."""
        full = self._crowd.enter(connection.origin)
        if full is not None:
            self.metrics.reject(full)
            self._turned_away += 1
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        """One that was let in has gone."""
        self._connections.discard(connection)
        self._crowd.leave(connection.origin)

    def aiohttp(self) -> asyncio.Protocol | None:
        """Who reads a connection that leaves the short way; None while the runner stops."""
        server = self._runner.server
        return None if server is None else server()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._to_visit:
            self._to_visit = list(self._connections)
        for connection in self._to_visit[-SWEEP_BATCH:]:
            connection.abort_if_overdue(now)
        del self._to_visit[-SWEEP_BATCH:]
        pause = SWEEP_PAUSE_SECONDS if self._to_visit else self._sweep_seconds
        self._sweeper = loop.call_later(pause, self._sweep)
        if self._turned_away and not self._to_visit:
            log.warning("viewers turned away: too many connections", times=self._turned_away)
            self._turned_away = 0
