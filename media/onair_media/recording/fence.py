"""Who writes a recording: whoever made `epochs/<epoch>`, as long as there is no higher epoch.

A process that was thought dead and is not does not spoil the recording of the one that took over.
"""

from __future__ import annotations

import asyncio
import secrets

import msgspec

from onair_core.contract import BroadcastRef
from onair_media.recording.folder import folder, read_origin
from onair_media.recording.model import Origin, OriginDocument
from onair_media.store import ObjectStore

# How long a writer may go on without having looked whether another has taken over; paths of epochs never collide.
FENCE_SECONDS = 10.0


class TakenOverError(Exception):
    """Another writes this recording."""


class Fence:
    """Of one broadcast in one epoch."""

    def __init__(self, store: ObjectStore, broadcast: BroadcastRef) -> None:
        self._store = store
        self._broadcast = broadcast
        self._base = folder(broadcast.id)
        self._token = secrets.token_hex(16).encode()
        self._looked_at = float("-inf")

    async def claim(self, origin: Origin) -> None:
        """Makes the epoch this writer's. May be repeated. Raises `TakenOverError`, `StoreError`."""
        named = f"{self._base}origin.json"
        if not await self._store.create(named, msgspec.json.encode(OriginDocument.of(origin))):
            await read_origin(self._store, self._broadcast.id, origin)
        epoch = f"{self._base}epochs/{self._broadcast.epoch}"
        # The token tells the loser of a race from the winner who did not hear that it has won.
        if not await self._store.create(epoch, self._token) and await self._store.get(epoch) != self._token:
            raise TakenOverError(f"Another process writes {self._broadcast.id} in epoch {self._broadcast.epoch}.")
        await self.check()
        self._store.sync_soon([named, epoch])

    async def check(self, *, at_most_seconds_ago: float = 0.0) -> None:
        """Looks for a successor, unless that was done a short while ago. Raises `TakenOverError`, `StoreError`."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at <= at_most_seconds_ago:
            return
        prefix = f"{self._base}epochs/"
        names = [path.removeprefix(prefix) for path in await self._store.sizes(prefix)]
        highest = max((int(name) for name in names if name.isdecimal()), default=0)
        if highest > self._broadcast.epoch:
            raise TakenOverError(f"Another process writes {self._broadcast.id}, in epoch {highest}.")
        self._looked_at = now
