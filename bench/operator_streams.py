"""LiveStreams as their owners see them: made, watched, edited, deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from onair_core.kube.client import Client, Object, Selection
from onair_core.kube.reflector import Reflector
from onair_core.kube.resources import LIVE_STREAMS, NETWORK_POLICIES, PODS, SECRETS, SERVICES
from onair_core.kube.store import Key
from onair_operator.desired.labels import managed_selector

IN_A_NAMESPACE = 100  # for each pod Kubernetes' controllers and scheduler go through all Services of its namespace
CHILDREN = (PODS, SECRETS, SERVICES, NETWORK_POLICIES)
AT_ONCE = 16
MANAGER = "bench"


def keys(count: int) -> list[Key]:
    """Of so many streams."""
    return [Key(f"channels-{number // IN_A_NAMESPACE}", f"channel-{number}") for number in range(count)]


@dataclass
class Seen:
    """What is known of one stream: of its status, and when (monotonic) that was first seen."""

    generation: int = 0
    observed: int = 0
    settled: bool = False
    ready_at: float | None = None


@dataclass
class Streams:
    """All that there are, as a watch tells them; start `run` as a task."""

    client: Client
    known: dict[Key, Seen] = field(default_factory=dict)
    ready: int = 0
    last_ready: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        reflector = Reflector(self.client, Selection(LIVE_STREAMS))
        reflector.on_change(self._change)
        await reflector.run()

    def _change(self, key: Key, _old: Object | None, new: Object | None) -> None:
        if new is None:
            del self.known[key]
        else:
            seen = self.known.setdefault(key, Seen())
            status = new.get("status") or {}
            conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
            seen.generation, seen.observed = new["metadata"]["generation"], status.get("observedGeneration", 0)
            seen.settled = conditions.get("Reconciling") == "False"
            if seen.ready_at is None and conditions.get("Ready") == "True":
                seen.ready_at = self.last_ready = time.monotonic()
                self.ready += 1
        self._changed.set()

    async def until(self, what: str, condition: Callable[[], bool], patience: float) -> float:
        """When (monotonic) it was so."""
        deadline = time.monotonic() + patience
        while not condition():
            self._changed.clear()
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                raise SystemExit(f"after {patience:.0f} s still not: {what}; {self.ready} are Ready") from None
        return time.monotonic()

    async def create(self, keys: Iterable[Key]) -> None:
        """As fast as the API server takes them."""

        async def make(key: Key) -> None:
            metadata = {"name": key.name, "namespace": key.namespace}
            spec = {
                "title": f"Channel {key.name}",
                "playback": [{"name": "main", "policy": "public"}],
                "newAssetSettings": {"recording": True, "playback": [{"name": "main", "policy": "public"}]},
            }
            body = {"apiVersion": LIVE_STREAMS.api_version, "kind": "LiveStream", "metadata": metadata, "spec": spec}
            await self.client.create(LIVE_STREAMS, body, manager=MANAGER)

        await at_once(keys, make)

    async def edit(self, key: Key, title: str) -> tuple[float, float]:
        """When that was asked for, and when status had seen it and nothing was left to do."""
        before, began = self.known[key].generation, time.monotonic()
        await self.client.patch(LIVE_STREAMS, key.name, key.namespace, {"spec": {"title": title}}, manager=MANAGER)
        observed = await self.until(f"{key} is observed", lambda: self.known[key].observed > before, 60.0)
        if not self.known[key].settled:
            await self.until(f"{key} is settled", lambda: self.known[key].settled, 60.0)
        return began, observed

    async def delete(self, keys: Iterable[Key]) -> None:
        await at_once(keys, lambda key: self.client.delete(LIVE_STREAMS, key.name, key.namespace))

    async def children(self) -> dict[str, int]:
        """How many there are, by kind."""
        selections = (Selection(kind, labels=managed_selector(), metadata_only=True) for kind in CHILDREN)
        return {str(each.resource): len((await self.client.list_all(each, limit=0)).items) for each in selections}


async def at_once(keys: Iterable[Key], work: Callable[[Key], Awaitable[object]]) -> None:
    waiting = iter(list(keys))

    async def worker() -> None:
        for key in waiting:
            await work(key)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
