"""A stream's reconcile with everything around it in memory: what the API server has, and pods that tell."""

from __future__ import annotations

import itertools
from typing import Any

from onair_core.contract import Applied, Cursor, Drained, JournalEvent, PodConfig, StreamRef
from onair_core.kube.client import Client
from onair_core.kube.resources import ASSETS, LIVE_STREAM_CLASSES, LIVE_STREAMS, PODS, SECRETS, Resource
from onair_core.kube.store import Key, key_of
from onair_operator.apply.writer import CONTENT_HASH
from onair_operator.conversation import Conversation
from onair_operator.decide.readiness import own_part
from onair_operator.desired.hashing import stable_hash
from onair_operator.desired.provision import ControlAccess, Installation
from onair_operator.observe.world import Scope, Wake, World
from onair_operator.pods.errors import PodUnreachable
from onair_operator.reconcile import StreamReconciler
from onair_operator.reconcile_asset import AssetReconciler
from onair_operator.rollout import Rollout

Object = dict[str, Any]
ROOT = bytes(range(32))
NOW = 1_800_000_000.0
KEY = Key("events", "keynote")
NOBODY: Client = None  # type: ignore[assignment]  # nothing is asked


class Pods:
    """In place of `Followers`: what pods tell is put into `told`, by uid; those in `connected` can be asked."""

    def __init__(self) -> None:
        self.told: dict[str, list[JournalEvent]] = {}
        self.connected: set[str] = set()
        self.configured: dict[str, PodConfig] = {}
        self.hashes: dict[str, str] = {}
        self.drained: list[str] = []
        self.followed: set[str] = set()
        self.troubles: dict[str, str] = {}

    def follow(
        self, uid: str, stream: StreamRef, address: tuple[str, int], access: ControlAccess, after: Cursor
    ) -> None:
        self.followed.add(uid)
        self.taken(uid, after)

    def leave(self, uid: str) -> None:
        self.followed.discard(uid)

    def pending(self, uid: str) -> tuple[JournalEvent, ...]:
        return tuple(self.told.get(uid, ())) if uid in self.followed else ()

    def taken(self, uid: str, upto: Cursor) -> None:
        self.told[uid] = [event for event in self.told.get(uid, ()) if Cursor(event.epoch, event.n) > upto]

    def is_connected(self, uid: str) -> bool:
        return uid in self.connected

    def trouble(self, uid: str) -> str | None:
        return self.troubles.get(uid)

    def applied(self, uid: str) -> str | None:
        return self.hashes.get(uid)

    def note_applied(self, uid: str, config_hash: str) -> None:
        self.hashes[uid] = config_hash

    def client(self, uid: str) -> PodClient:
        return PodClient(self, uid)


class PodClient:
    def __init__(self, pods: Pods, uid: str) -> None:
        self._pods, self._uid = pods, uid

    def _asked(self) -> None:
        if self._uid not in self._pods.connected:
            raise PodUnreachable("refused")

    async def put(self, config: PodConfig) -> Applied:
        self._asked()
        self._pods.configured[self._uid] = config
        return Applied(hash="applied")

    async def drain(self) -> Drained:
        self._asked()
        self._pods.drained.append(self._uid)
        return Drained(idle=True, newest=Cursor())

    async def complete(self, broadcast: str) -> bool:
        self._asked()
        return True


class Stage:
    """In place of the API server it is the writer, too; `writes` has (verb, kind, name)."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, str, str]] = []
        self.refuses: dict[str, Exception] = {}
        """By kind: what comes of writing one."""
        self.now = NOW
        self.pods = Pods()
        self.contents: dict[Key, dict[str, str]] = {}
        """Of Secrets that others have made: the world keeps none."""
        self.woken: list[Key] = []
        """Those whose turn of a roll-out may have come."""
        self.world = World(NOBODY, Scope("onair-system"), ROOT, Wake(*(lambda key: None,) * 3))
        self._versions = itertools.count(11)
        for cache in self.world.caches:
            for reflector in cache.reflectors.values():
                reflector._store.begin(10)
                reflector._tell(reflector._store.end())
                reflector.synced.set()
        self.rollout = Rollout(self.woken.append)
        parts: Any = (self.world, self, Conversation(self.pods), self, self.rollout)  # type: ignore[arg-type]
        installation = Installation("onair-system", {"app": "onair"}, "onair:1")
        self.streams = StreamReconciler(*parts, root=ROOT, installation=installation, wall=lambda: self.now)
        self.assets = AssetReconciler(self.world, self, wall=lambda: self.now)  # type: ignore[arg-type]
        self.cls()

    # What others do.

    def has(self, resource: Resource, body: Object) -> Object:
        """That is there now."""
        metadata = {"uid": f"uid-{body['metadata']['name']}", **body["metadata"]}
        found = {**body, "metadata": {**metadata, "resourceVersion": str(next(self._versions))}}
        reflector = self.world.cache_of(resource)._of(metadata.get("namespace") or "")
        assert reflector is not None
        reflector._tell(reflector._store.watched("MODIFIED", found))
        return found

    def loses(self, resource: Resource, found: Object) -> None:
        reflector = self.world.cache_of(resource)._of(found["metadata"].get("namespace") or "")
        assert reflector is not None
        gone = {"metadata": {**found["metadata"], "resourceVersion": str(next(self._versions))}}
        reflector._tell(reflector._store.watched("DELETED", gone))

    def declare(self, **spec: Any) -> None:
        before = self.world.streams.get(KEY) or {"metadata": {"generation": 0}}
        metadata = {
            "namespace": KEY.namespace,
            "name": KEY.name,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": before["metadata"]["generation"] + 1,
        }
        made: Object = {"metadata": metadata, "spec": {"title": "Keynote", "playback": [{"name": "main"}], **spec}}
        self.has(LIVE_STREAMS, made | ({"status": before["status"]} if "status" in before else {}))

    def cls(self, name: str = "standard", **spec: Any) -> None:
        self.has(LIVE_STREAM_CLASSES, {"metadata": {"name": name, "generation": 1}, "spec": spec})

    def runs(self, *, connected: bool = True) -> Object:
        """The newest pod: Ready, and its control port answers."""
        found = self.pod()
        status = {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "ingest", "state": {"running": {}}, "started": True, "restartCount": 0}],
        }
        running = self.has(PODS, {**found, "status": status})
        if connected:
            self.pods.connected.add(running["metadata"]["uid"])
        return running

    async def works(self) -> float | None:
        return await self.streams.reconcile(KEY)

    def a_second_later(self) -> None:
        """Status gets what pods tell so often at most."""
        self.streams._channels[KEY].told_at = float("-inf")

    async def looks_at_assets(self) -> None:
        for key in list(self.world.assets):
            await self.assets.reconcile(key)

    # What there is.

    @property
    def status(self) -> Object:
        return (self.world.streams.get(KEY) or {}).get("status") or {}

    def condition(self, kind: str) -> tuple[str, str]:
        return next(((c["status"], c["reason"]) for c in self.status["conditions"] if c["type"] == kind), ("", ""))

    def pod(self) -> Object:
        """The newest."""
        return max((pod for _, pod in self.world.pods.items()), key=lambda pod: int(pod["metadata"]["resourceVersion"]))

    def asset(self, name: str) -> Object:
        found = self.world.assets.get(Key(KEY.namespace, name))
        assert found is not None
        return found

    def written(self) -> list[tuple[str, str, str]]:
        """Since this was last asked."""
        found, self.writes = self.writes, []
        return found

    # In place of `Writer` and `SecretReader`.

    async def apply(self, resource: Resource, body: Object, *, once: bool = False) -> None:
        live = self.world.cache_of(resource).get(key_of(body))
        if live is not None and once:
            return
        if live is None or live.get("made_from", live["metadata"].get("annotations")) != _note(body):
            self._write("apply", resource, body)

    async def create(self, resource: Resource, body: Object) -> Object | None:
        if self.world.cache_of(resource).get(key_of(body)) is not None:
            return None
        return self._write("create", resource, body)

    async def delete(self, resource: Resource, found: Object) -> None:
        self.writes.append(("delete", resource.kind, found["metadata"]["name"]))
        if resource is PODS:
            self.has(PODS, {**found, "metadata": {**found["metadata"], "deletionTimestamp": "2027-01-15T08:01:00Z"}})
        else:
            self.loses(resource, found)

    async def write_status(self, resource: Resource, live: Object, status: Object) -> bool:
        if own_part(live.get("status") or {}) == status:
            return False
        self._write("status", resource, {**live, "status": status})
        return True

    async def read(self, namespace: str, name: str) -> Object | None:
        key = Key(namespace, name)
        found = self.world.cache_of(SECRETS).get(key)
        return None if found is None else {**found, "data": self.contents.get(key)}

    def _write(self, verb: str, resource: Resource, body: Object) -> Object:
        if resource.kind in self.refuses and verb != "status":
            raise self.refuses[resource.kind]
        self.writes.append((verb, resource.kind, body["metadata"]["name"]))
        note = _note(body) if verb == "apply" else body["metadata"].get("annotations", {})
        metadata = {"uid": f"uid-{body['metadata']['name']}", "generation": 1, **body["metadata"], "annotations": note}
        answered = {**body, "metadata": {**metadata, "resourceVersion": str(next(self._versions))}}
        self.world.cache_of(resource).learn(answered)
        return answered


def _note(body: Object) -> Object:
    made_from = {name: part for name, part in body.items() if name != "status"}
    return {"onair.dev/made-from": str(made_from), CONTENT_HASH: stable_hash(body)}


__all__ = ["ASSETS", "KEY", "NOW", "ROOT", "Stage"]
