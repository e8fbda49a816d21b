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

NAMESPACE = "channels"
CHILDREN = (PODS, SECRETS, SERVICES, NETWORK_POLICIES)
AT_ONCE = 16
MANAGER = "bench"


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
    known: dict[str, Seen] = field(default_factory=dict)
    ready: int = 0
    last_ready: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        reflector = Reflector(self.client, Selection(LIVE_STREAMS))
        reflector.on_change(self._change)
        await reflector.run()

    def _change(self, key: Key, _old: Object | None, new: Object | None) -> None:
        if new is None:
            del self.known[key.name]
        else:
            seen = self.known.setdefault(key.name, Seen())
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

    async def create(self, names: Iterable[str]) -> None:
        """As fast as the API server takes them."""

        async def make(name: str) -> None:
            metadata = {"name": name, "namespace": NAMESPACE}
            spec = {
                "title": f"Channel {name}",
                "playback": [{"name": "main", "policy": "public"}],
                "newAssetSettings": {"recording": True, "playback": [{"name": "main", "policy": "public"}]},
            }
            body = {"apiVersion": LIVE_STREAMS.api_version, "kind": "LiveStream", "metadata": metadata, "spec": spec}
            await self.client.create(LIVE_STREAMS, body, manager=MANAGER)

        await at_once(names, make)

    async def edit(self, name: str, title: str) -> tuple[float, float]:
        """When that was asked for, and when status had seen it and nothing was left to do."""
        before, began = self.known[name].generation, time.monotonic()
        await self.client.patch(LIVE_STREAMS, name, NAMESPACE, {"spec": {"title": title}}, manager=MANAGER)

        def is_observed() -> bool:
            return self.known[name].observed > before

        observed = await self.until(f"{name} is observed", is_observed, 60.0)
        if not self.known[name].settled:
            await self.until(f"{name} is settled", lambda: self.known[name].settled, 60.0)
        return began, observed

    async def delete(self, names: Iterable[str]) -> None:
        await at_once(names, lambda name: self.client.delete(LIVE_STREAMS, name, NAMESPACE))

    async def children(self) -> dict[str, int]:
        """How many there are, by kind."""
        return {str(kind): await self._count(Selection(kind, NAMESPACE, managed_selector())) for kind in CHILDREN}

    async def _count(self, selection: Selection) -> int:
        # The API server counts what is behind the first page, but not with selectors.
        whole = Selection(selection.resource, selection.namespace, selection.labels, metadata_only=True)
        return len((await self.client.list_all(whole, limit=0)).items)


async def at_once(names: Iterable[str], work: Callable[[str], Awaitable[object]]) -> None:
    waiting = iter(list(names))

    async def worker() -> None:
        for name in waiting:
            await work(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
