"""The pod's one channel, as the operator asked for it, and its journal, as the operator reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog

from onair_core.contract import (
    Applied,
    Cursor,
    Drained,
    JournalEvent,
    LimitsSpec,
    PodConfig,
    StoreSettings,
    StreamRef,
    config_hash,
)
from onair_core.contract.control import DRAINED_SECONDS
from onair_media.ingest.channel import Channel
from onair_media.ingest.host import ChannelHost
from onair_media.store import StoreError

log = structlog.get_logger(__name__)

# Well below what the operator waits for an answer.
DRAIN_SECONDS = 5.0


class OtherStreamError(Exception):
    """A configuration for another LiveStream: this pod is not meant."""


class PodChannel:
    """`host` calls `journal_grew` when there are new events. `limit` puts the class's limits into force."""

    def __init__(
        self, host: ChannelHost, stream: StreamRef, limit: Callable[[LimitsSpec], None] = lambda _: None
    ) -> None:
        self._limit = limit
        self._host = host
        self._stream = stream
        self._assets: set[str] = set()
        self._grown = asyncio.Event()
        self._read = asyncio.Event()
        self._turn = asyncio.Lock()
        self._until: asyncio.TimerHandle | None = None
        self.applied: Applied | None = None
        """None until the first configuration is in force, and when drained: whoever wants it to go on says so again."""
        self.told = Cursor()
        """Up to where the operator has read the journal."""

    @property
    def _channel(self) -> Channel | None:
        return self._host.channel(self._stream)

    @property
    def idle(self) -> bool:
        """Whether no broadcast is open, so that nothing ends with the pod."""
        return self._channel is None or self._channel.broadcast is None

    @property
    def newest(self) -> Cursor:
        """The newest event that is durable."""
        channel = self._channel
        return Cursor(*channel.journal.newest) if channel is not None else Cursor()

    async def configure(self, config: PodConfig) -> Applied:
        """Puts a configuration into force. Raises `OtherStreamError`."""
        if config.channel.stream != self._stream:
            raise OtherStreamError(f"this pod is for {self._stream}, uid {self._stream.uid}")
        async with self._turn:
            self._refuse(False)
            await self._host.configure(config.channel, (config.taken.epoch, config.taken.n), config.resumes)
            channel = self._channel
            assert channel is not None
            channel.journal.acknowledge(config.taken.epoch, config.taken.n)
            self._host.set_title(self._stream, config.title)
            self._limit(config.limits)
            problems = tuple(self._serve_assets(config))
            self._told(config.taken)
            applied = self.applied = Applied(config_hash(config), problems)
        return applied

    def journal_grew(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def events(self, after: Cursor, patience: float) -> AsyncIterator[list[JournalEvent]]:
        """The durable events behind `after`, and those to come; nothing at all every `patience` seconds without any."""
        while True:
            grown, channel = self._grown, self._channel
            events = channel.journal.after(after.epoch, after.n) if channel is not None else []
            if events:
                after = Cursor(events[-1].epoch, events[-1].n)
            elif not await _happens(grown, patience):
                yield []
                continue
            else:
                continue
            yield events
            self._told(after)

    async def all_told(self) -> None:
        """Waits until the operator has read everything that is durable."""
        while self.told < self.newest:
            self._read.clear()
            await self._read.wait()

    def _told(self, cursor: Cursor) -> None:
        self.told = max(self.told, cursor)
        self._read.set()

    def complete(self, broadcast: str) -> bool:
        """Ends that broadcast; False when it is not open."""
        channel = self._channel
        if channel is None or channel.broadcast is None or channel.broadcast.ref.id != broadcast:
            return False
        self._host.complete(self._stream, broadcast)
        return True

    async def drain(self) -> Drained:
        """No broadcast begins until the next `configure`, or for `DRAINED_SECONDS` if nobody comes back.

        Waits a while for the disk: the end of the last broadcast may just have happened.
        """
        self._refuse(True)
        self.applied = None
        channel = self._channel
        durable = channel is None or await channel.journal.settled(DRAIN_SECONDS)
        return Drained(idle=self.idle and durable, newest=self.newest)

    def _refuse(self, draining: bool) -> None:
        """Whoever drains a pod replaces it at once, or is gone: then publishers are better off with this one."""
        if self._until is not None:
            self._until.cancel()
            self._until = None
        self._host.draining = draining
        if draining:
            self._until = asyncio.get_running_loop().call_later(DRAINED_SECONDS, self._refuse, False)

    def _serve_assets(self, config: PodConfig) -> list[str]:
        problems = []
        for gone in self._assets - {asset.id for asset in config.assets}:
            self._host.forget_asset(gone)
        self._assets = {asset.id for asset in config.assets}
        current = config.channel.asset.store
        for asset in config.assets:
            if current is None or asset.store != current.url:
                known = StoreSettings(url=asset.store, endpoint=asset.endpoint, region=asset.region)
                self._host.stores.know(known)
            try:
                self._host.set_asset(asset.id, asset.store, set(asset.playback_ids), asset.title)
            except StoreError as error:
                problems.append(f"Asset {asset.id} cannot be played: {error}")
        return problems


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
