"""Everything that reconciles read, in memory, and which of them a change concerns.

| changes | worked on |
|---|---|
| a LiveStream, but for a status that this process wrote | it, and the streams that want what it had |
| a child (pod, Secret, Service, policy, claim), an Asset | the stream it belongs to |
| a Secret that a LiveStream names, or of the name that its generated key needs | that stream |
| an Asset; its LiveStream or one of its pods, when that goes | the Asset |
| a LiveStreamClass, or a Secret that it names | the class, and all streams: the default may be another one |

All Secrets are followed, of which only metadata is kept: contents are asked for when they are needed, and what is in a
child is known without reading it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from onair_core.contract import StreamRef
from onair_core.kube.client import Client
from onair_core.kube.resources import (
    ASSETS,
    LIVE_STREAM_CLASSES,
    LIVE_STREAMS,
    NETWORK_POLICIES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)
from onair_core.kube.store import Key, key_of
from onair_core.manifests import DEFAULT_CLASS, LiveStreamClassSpec, LiveStreamSpec, spec_of
from onair_operator.decide.classes import secrets_of
from onair_operator.decide.grants import Grants
from onair_operator.decide.plan import claim_before_reading
from onair_operator.desired.labels import LIVE_STREAM, managed_selector
from onair_operator.desired.naming import service_name, stream_key_secret_name
from onair_operator.observe.cache import ByLabel, Cache
from onair_operator.observe.trim import trim_metadata, trim_pod

log = structlog.get_logger(__name__)

Object = dict[str, Any]

NOT_KNOWN_SECONDS = 5.0
"""After which to look again at what is in a namespace that is not known."""
_LOOK_SECONDS = 0.05

# Kinds of Secrets that no LiveStream names: a cluster has thousands of the first.
_NOT_FOR_US = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"


@dataclass(frozen=True, slots=True)
class Scope:
    """`installation`: the namespace of the operator; `namespaces`: those that are watched; none: all."""

    installation: str
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Children:
    """What there is of one stream. The Secrets are without their contents. `strays`: pods that have lost their owner,
    with which nobody can speak any more.
    """

    pods: list[Object] = field(default_factory=list)
    strays: list[Object] = field(default_factory=list)
    secrets: list[Object] = field(default_factory=list)
    service: Object | None = None


@dataclass(frozen=True, slots=True)
class Wake:
    """Who is told the keys of what is to be worked on: at once, to note them."""

    stream: Callable[[Key], None]
    cls: Callable[[Key], None]
    asset: Callable[[Key], None]


class World:
    """`root`: the root secret, by which it is known who asks for which playback ID."""

    def __init__(self, client: Client, scope: Scope, root: bytes, wake: Wake) -> None:
        self._root = root
        self._wake = wake
        self._scope = scope
        where = scope.namespaces
        managed = managed_selector()
        secrets_in = sorted({*where, scope.installation}) if where else []
        self.streams = Cache(client, LIVE_STREAMS, where)
        self.classes = Cache(client, LIVE_STREAM_CLASSES)
        self.assets = Cache(client, ASSETS, where)
        self.pods = Cache(client, PODS, where, labels=managed, trim=trim_pod)
        self.services = Cache(client, SERVICES, where, labels=managed)
        self.secrets = Cache(client, SECRETS, secrets_in, fields=_NOT_FOR_US, metadata_only=True, trim=trim_metadata)
        self.policies = Cache(client, NETWORK_POLICIES, where, labels=managed, metadata_only=True, trim=trim_metadata)
        self.claims = Cache(
            client, PERSISTENT_VOLUME_CLAIMS, where, labels=managed, metadata_only=True, trim=trim_metadata
        )
        self.grants = Grants(self._recording_with)
        self._pods_of = ByLabel(self.pods, LIVE_STREAM)
        self._secrets_of = ByLabel(self.secrets, LIVE_STREAM)
        self._assets_of = ByLabel(self.assets, LIVE_STREAM)
        self._keys_by_uid: dict[str, Key] = {}
        self._recordings: dict[str, Key] = {}
        self._naming: defaultdict[Key, set[Key]] = defaultdict(set)
        self._secrets_of_classes: dict[Key, set[Key]] = {}
        self.streams.on_change(self._stream_is_another, own=True)
        self.streams.on_change(self._stream_changed)
        self.assets.on_change(self._asset_is_another, own=True)
        # Also what a stream's reconcile wrote: its data may be gone since.
        self.assets.on_change(self._asset_changed, own=True)
        self.pods.on_change(self._pod_changed)
        self.classes.on_change(self._class_changed)
        for cache in (self.pods, self.assets, self.secrets, self.services, self.policies, self.claims):
            cache.on_change(self._child_changed)
        self.secrets.on_change(self._secret_changed)

    @property
    def caches(self) -> tuple[Cache, ...]:
        return (
            *(self.streams, self.classes, self.assets, self.pods),
            *(self.secrets, self.services, self.policies, self.claims),
        )

    def cache_of(self, resource: Resource) -> Cache:
        return next(cache for cache in self.caches if cache.resource == resource)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follows the API server; inside, everything is there, but for namespaces that it may not read: of several that
        are watched, one that is gone with its Role must not end the others. A reflector that fails ends what is inside.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(reflector.run(), name=f"reflector {cache.resource}")
                for cache in self.caches
                for reflector in cache.reflectors.values()
            ]
            try:
                await self._what_may_be_known()
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _what_may_be_known(self) -> None:
        where = self._scope.namespaces
        await self.secrets.synced(self._scope.installation)
        await self.classes.synced()
        if not where:
            await asyncio.gather(*(cache.synced() for cache in self.caches))
            return

        def is_settled(namespace: str) -> bool:
            return self.knows(namespace) or self._is_forbidden(namespace)

        while not (any(map(self.knows, where)) and all(map(is_settled, where))):  # noqa: ASYNC110 - of many events some
            await asyncio.sleep(_LOOK_SECONDS)
        for namespace in where:
            if not self.knows(namespace):
                log.error("nothing is done in a namespace that may not be read", namespace=namespace)

    def _is_forbidden(self, namespace: str) -> bool:
        return any(cache.is_forbidden(namespace) for cache in self.caches)

    # What a reconcile asks.

    def knows(self, namespace: str) -> bool:
        """Whether everything of it is there: what is not would be taken for absent."""
        return all(cache.knows(namespace) for cache in self.caches)

    def children_of(self, stream: StreamRef) -> Children:
        """Those that the stream of that uid owns: one of its name that is gone may have left some."""
        where, name, uid = stream.namespace, stream.name, stream.uid
        found = self.services.get(Key(where, service_name(name)))
        return Children(
            pods=[pod for pod in self._pods_of.of(where, name) if is_owned(pod, uid)],
            strays=[pod for pod in self._pods_of.of(where, name) if not pod["metadata"].get("ownerReferences")],
            secrets=[secret for secret in self._secrets_of.of(where, name) if is_owned(secret, uid)],
            service=found if found is not None and is_owned(found, uid) else None,
        )

    def assets_of(self, stream: StreamRef) -> list[Object]:
        """The recordings of the stream of that uid."""
        found = self._assets_of.of(stream.namespace, stream.name)
        return [asset for asset in found if (asset["spec"].get("liveStream") or {}).get("uid") == stream.uid]

    def all_classes(self) -> dict[str, Object]:
        return {key.name: value for key, value in self.classes.items()}

    def has_foreign_secret(self, namespace: str, name: str, stream: str) -> bool:
        """One that neither the LiveStream of that name owns, nor an earlier one: that is on its way out, or was left
        without an owner.
        """
        found = self.secrets.get(Key(namespace, name))
        if found is None:
            return False
        owners = found["metadata"].get("ownerReferences") or ()
        if not owners and _stream_of(found) == stream:
            return False
        return not any(owner["kind"] == LIVE_STREAMS.kind and owner["name"] == stream for owner in owners)

    # Changes.

    def _stream_is_another(self, key: Key, old: Object | None, new: Object | None) -> None:
        """Keeps the indices, also for what this process has written."""
        if old is not None:
            self._forget_naming(Key(key.namespace, _key_secret(old)), key)
        if new is None:
            if old is not None:
                uid = old["metadata"]["uid"]
                self._keys_by_uid.pop(uid, None)
                self.work_on_uids(self.grants.withdraw(uid))
                self._work_on_assets(key)
            return
        uid = new["metadata"]["uid"]
        self._keys_by_uid[uid] = key
        same_key = old is not None and old["spec"].get("streamKey") == new["spec"].get("streamKey")
        known = self.grants.claimed(uid) if same_key else None
        self.work_on_uids(self.grants.claim(claim_before_reading(new, self._root, known)))
        self._naming[Key(key.namespace, _key_secret(new))].add(key)

    def _stream_changed(self, key: Key, _old: Object | None, _new: Object | None) -> None:
        self._wake.stream(key)

    def _child_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        for owner in {value for found in (old, new) if found is not None and (value := _stream_of(found))}:
            self._wake.stream(Key(key.namespace, owner))

    def _asset_is_another(self, key: Key, old: Object | None, new: Object | None) -> None:
        before, now = _playback_ids(old), _playback_ids(new)
        for playback_id in before - now:
            self._recordings.pop(playback_id, None)
        for playback_id in now - before:
            self._recordings[playback_id] = key
        for playback_id in before ^ now:
            self.work_on_uids(self.grants.claimants(playback_id))

    def _asset_changed(self, key: Key, _old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._wake.asset(key)

    def _pod_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None and (stream := _stream_of(old)) is not None:
            self._work_on_assets(Key(key.namespace, stream))

    def _work_on_assets(self, stream: Key) -> None:
        for asset in self._assets_of.of(*stream):
            self._wake.asset(key_of(asset))

    def _secret_changed(self, key: Key, _old: Object | None, _new: Object | None) -> None:
        for stream in self._naming.get(key, ()):
            self._wake.stream(stream)
        naming = [cls for cls, secrets in self._secrets_of_classes.items() if key in secrets]
        for cls in naming:
            self._wake.cls(cls)
        if naming:
            self._work_on_all_streams()

    def _class_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        self._secrets_of_classes.pop(key, None)
        if new is not None:
            names = secrets_of(spec_of(new, LiveStreamClassSpec))
            self._secrets_of_classes[key] = {Key(self._scope.installation, name) for name in names}
        self._wake.cls(key)
        if _says(old) != _says(new):
            for other in self.classes:
                self._wake.cls(other)
            self._work_on_all_streams()

    def _work_on_all_streams(self) -> None:
        for key in self.streams:
            self._wake.stream(key)

    def work_on_uids(self, uids: set[str]) -> None:
        for uid in uids:
            if (key := self._keys_by_uid.get(uid)) is not None:
                self._wake.stream(key)

    def _forget_naming(self, secret: Key, stream: Key) -> None:
        self._naming[secret].discard(stream)
        if not self._naming[secret]:
            del self._naming[secret]

    def _recording_with(self, playback_id: str) -> str | None:
        key = self._recordings.get(playback_id)
        return None if key is None else f"Asset {key}"


def is_owned(child: Object, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in child["metadata"].get("ownerReferences") or ())


def _stream_of(child: Object) -> str | None:
    name: str | None = (child["metadata"].get("labels") or {}).get(LIVE_STREAM)
    return name


def _key_secret(stream: Object) -> str:
    """The Secret of its stream key: its own, or the one that is made for it, whoever has one of that name."""
    reference = spec_of(stream, LiveStreamSpec).stream_key.secret_ref
    return stream_key_secret_name(stream["metadata"]["name"]) if reference is None else reference.name


def _playback_ids(asset: Object | None) -> set[str]:
    return {entry["id"] for entry in ((asset or {}).get("status") or {}).get("playback") or () if "id" in entry}


def _says(cls: Object | None) -> tuple[Any, ...] | None:
    """What of a class is anybody's business; its status is not."""
    if cls is None:
        return None
    return cls["metadata"].get("generation"), (cls["metadata"].get("annotations") or {}).get(DEFAULT_CLASS)
