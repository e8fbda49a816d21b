"""All channels of this process: found by stream key when a publisher comes, by playback ID when a viewer does."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import structlog

from onair_core.contract import ChannelConfig, OpenBroadcast, StreamRef
from onair_media.ingest.channel import Channel
from onair_media.ingest.clock import Clock
from onair_media.ingest.directory import PlaybackDirectory
from onair_media.ingest.journal import Journal
from onair_media.ingest.parties import Refused, UnknownKey
from onair_media.ingest.restored import beginning, restored_state
from onair_media.ingest.session import PublisherSession
from onair_media.ingest.studio import Studio
from onair_media.lifecycle import Settings
from onair_media.recording import Recording
from onair_media.store import Credentials, Stores

log = structlog.get_logger(__name__)

# How often a sign of life is left on disk while broadcasts are open: after a kill the reconnect window counts from it.
ALIVE_SECONDS = 2.0


class ChannelHost:
    """`on_journal(stream)` is called when a channel's journal has grown; `on_finished` when a recording became VOD.
    `inits` makes init segments (`Pipeline`).

    Files lie below `folder`: `journals/<uid>.jsonl`, `unfinished/<asset>.json`, `spool/`, `alive`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        on_journal: Callable[[StreamRef], None],
        on_finished: Callable[[Recording], None] = lambda _: None,
        clock: Clock | None = None,
        inits: Executor | None = None,
        credentials: Credentials = lambda _url: {},
    ) -> None:
        self.clock = clock or Clock()
        self._folder = folder
        self._on_journal = on_journal
        self.stores = Stores(folder / "spool", credentials)
        self._studio = Studio(folder / "unfinished", self.clock, on_finished, self.stores, inits)
        self.directory = PlaybackDirectory(self._studio.library)
        self._channels: dict[str, Channel] = {}
        self._keys: dict[bytes, Channel] | None = None  # None: to be made from the channels again
        self._key_secret = secrets.token_bytes(32)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._alive = folder / "alive"
        self._last_seen = self._read_alive()
        self._alive_task: asyncio.Task[None] | None = None
        self.draining = False
        """No broadcast begins any more; those that are open go on."""

    async def start(self, stores: Iterable[str] = ()) -> None:
        """Finishes what an earlier process left, in these stores (URLs), too; call before the first `configure`."""
        folder = self._folder / "journals"
        folder.mkdir(parents=True, exist_ok=True)
        streams, going_on = set(), {}
        for file in folder.glob("*.jsonl"):
            state = restored_state(Journal(file, self._disk, lambda: None))
            streams.add(file.stem)
            if state is not None and state.broadcast is not None:
                going_on[state.broadcast.ref.id] = state.broadcast.store
        stores = {*stores, *(store for store in going_on.values() if store)}
        await self._studio.finish_left_over(stores, streams=streams, open_assets=going_on)
        self._alive_task = asyncio.get_running_loop().create_task(self._leave_signs())

    async def stop(self) -> None:
        """Open broadcasts stay open on disk; end the publishers first."""
        if self._alive_task is not None:
            self._alive_task.cancel()
        channels = list(self._channels.values())
        endings = await asyncio.gather(*(channel.shut_down() for channel in channels), return_exceptions=True)
        for channel, ending in zip(channels, endings, strict=True):
            if isinstance(ending, BaseException):
                log.error("not shut down in order", stream=str(channel.config.stream), exc_info=ending)
        await self._studio.shut_down()
        self._touch()
        self._disk.shutdown(wait=False, cancel_futures=True)  # a disk that hangs would be waited for

    # What the control plane asks

    async def configure(
        self, config: ChannelConfig, after: tuple[int, int] = (0, 0), resumes: OpenBroadcast | None = None
    ) -> None:
        """Makes or updates a channel. A new one goes on where an earlier process was ended, if it was.

        `after`: (epoch, n) of the newest journal record that the caller has taken over. `resumes`: what a process on
        another machine had begun, of which there is no journal here.
        """
        if config.asset.store is not None:
            self.stores.know(config.asset.store)
        channel = self._channels.get(config.stream.uid)
        if channel is None:
            journal = self._journal(config.stream, after)
            begins = beginning(journal, Settings.of(config), resumes)
            channel = Channel(config, begins, self.clock, journal, self._studio)
            self._channels[config.stream.uid] = channel
            await channel.resume(self._last_seen or self.clock.now())
        else:
            channel.configure(config)
        self._keys = None
        self.directory.set_live(channel.playable, {entry.id for entry in config.playback})

    def set_title(self, stream: StreamRef, title: str) -> None:
        """What the player page calls the stream."""
        channel = self._channels.get(stream.uid)
        if channel is not None:
            channel.playable.title = title

    def set_asset(self, asset_id: str, store_url: str, playback_ids: set[str], title: str = "") -> None:
        """Which playback IDs play a recording. Raises `StoreError` when its store cannot be opened."""
        self.directory.set_asset(asset_id, self._studio.store(store_url), playback_ids, title)

    def forget_asset(self, asset_id: str) -> None:
        """No playback ID plays this recording any more."""
        self.directory.forget_asset(asset_id)

    def remove(self, stream: StreamRef) -> None:
        """Ends the channel's broadcast and cuts its publisher. The journal stays until `forget`."""
        channel = self._channels.get(stream.uid)
        if channel is None:
            return
        channel.remove()
        self._keys = None
        self.directory.set_live(channel.playable, set())

    def forget(self, stream: StreamRef) -> None:
        """The control plane has all events of a removed channel."""
        channel = self._channels.pop(stream.uid, None)
        self._keys = None
        if channel is not None:
            channel.journal.delete()

    def complete(self, stream: StreamRef, broadcast_id: str) -> None:
        """Ends that broadcast, if it is open."""
        channel = self._channels.get(stream.uid)
        if channel is not None:
            channel.complete(broadcast_id)

    def channel(self, stream: StreamRef) -> Channel | None:
        return self._channels.get(stream.uid)

    @property
    def channels(self) -> list[Channel]:
        return list(self._channels.values())

    # ingest.session.Admission

    def admit(self, session: PublisherSession, key: str) -> Channel:
        """Finds the channel of a stream key. Raises `Refused`."""
        if self._keys is None:
            self._keys = self._index()
        channel = self._keys.get(self._hash(key)) if key else None
        if channel is None:
            raise UnknownKey
        if self.draining and channel.broadcast is None:
            raise Refused("NetStream.Publish.Failed", "This server is going away; try again in a moment.")
        channel.admit(session)
        self._touch()  # a kill before the next sign of life must not look like one long ago
        return channel

    # Inside

    def _index(self) -> dict[bytes, Channel]:
        """From all channels, so that keys may change hands in any order; two that claim one: the older has it."""
        keys: dict[bytes, Channel] = {}
        for channel in self._channels.values():
            if not channel.removed:
                for key in channel.config.keys:
                    keys.setdefault(self._hash(key), channel)
        return keys

    def _hash(self, key: str) -> bytes:
        """Keys are looked up by a keyed hash: the time it takes says nothing about how much of a guess was right."""
        return hmac.digest(self._key_secret, key.encode(), "sha256")

    def _journal(self, stream: StreamRef, after: tuple[int, int]) -> Journal:
        path = self._folder / "journals" / f"{stream.uid}.jsonl"
        return Journal(path, self._disk, lambda: self._on_journal(stream), after=after)

    async def _leave_signs(self) -> None:
        while True:
            self._look_at_clock()
            await asyncio.sleep(ALIVE_SECONDS)

    def _look_at_clock(self) -> None:
        if self.clock.slept():
            for channel in self._channels.values():
                channel.reschedule()
        if any(channel.deadline is not None for channel in self._channels.values()):
            self._touch()
        else:
            self.clock.tie()

    def _touch(self) -> None:
        try:
            # Written over, never truncated: on a full disk the last sign stays readable.
            file = os.open(self._alive, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.write(file, f"{self.clock.now():.3f}\n".encode())
            finally:
                os.close(file)
        except OSError as error:
            log.warning("no sign of life could be left", problem=error.strerror)

    def _read_alive(self) -> float | None:
        try:
            return float(self._alive.read_text())
        except (OSError, ValueError):
            return None
