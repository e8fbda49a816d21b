"""One Asset held against what its data is on. What its broadcast tells comes from its LiveStream's reconcile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from onair_core.contract import StreamRef
from onair_core.kube.errors import NotFound
from onair_core.kube.resources import ASSETS
from onair_core.kube.store import Key
from onair_operator.apply.writer import Writer
from onair_operator.decide.assets import is_lost, lost_status, with_readiness
from onair_operator.decide.readiness import own_part
from onair_operator.desired.labels import INCARNATION
from onair_operator.observe.world import NOT_KNOWN_SECONDS, World

Object = dict[str, Any]


class AssetReconciler:
    """`reconcile` is the work of a queue whose keys are those of Assets."""

    def __init__(self, world: World, writer: Writer, *, wall: Callable[[], float] = time.time) -> None:
        self._world = world
        self._writer = writer
        self._wall = wall

    async def reconcile(self, key: Key) -> float | None:
        """Raises `KubeError`: it is tried again."""
        asset = self._world.assets.get(key)
        if asset is None or "deletionTimestamp" in asset["metadata"]:
            return None
        if not self._world.knows(key.namespace):
            return NOT_KNOWN_SECONDS
        status = own_part(asset.get("status") or {})
        if "state" not in status:
            return None  # its LiveStream's reconcile is about to say
        origin = asset["spec"].get("liveStream") or {}
        stream = StreamRef(key.namespace, origin.get("name", ""), origin.get("uid", ""))
        found = self._world.streams.get(Key(stream.namespace, stream.name))
        exists = found is not None and found["metadata"]["uid"] == stream.uid
        pods = self._world.children_of(stream).pods if exists else []
        incarnations = [pod["metadata"].get("labels", {}).get(INCARNATION, "") for pod in pods]
        now = self._wall()
        if is_lost(asset, stream_exists=exists, incarnations=incarnations):
            status = lost_status(status, now)
        try:
            await self._writer.write_status(ASSETS, asset, with_readiness(asset, status, now))
        except NotFound:
            return None
        return None
