"""Every write of the operator but its Lease goes through here.

Children are applied by the server (one field manager, all fields), each with the hash of what it was made from as an
annotation. One whose hash is there is not applied again: an operator that starts anew has nothing to write. What others
change in a child is seen by its version: it is applied again, once, whatever comes of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from onair_core.kube.client import Client, Selection
from onair_core.kube.errors import AlreadyExists, Conflict, NotFound
from onair_core.kube.resources import Resource
from onair_core.kube.store import Key, key_of
from onair_operator.decide.readiness import own_part
from onair_operator.desired.hashing import stable_hash
from onair_operator.desired.labels import LIVE_STREAM
from onair_operator.observe.cache import Cache

Object = dict[str, Any]

MANAGER = "onair-operator"
STATUS_MANAGER = "onair-operator-status"
CONTENT_HASH = "onair.dev/content-hash"
"""Annotation of a child: the hash of what it was made from."""


class NotOurs(Exception):
    """An object of a child's name belongs to somebody else; the message says what to do."""


class StillLeaving(Exception):
    """A child of an earlier LiveStream of that name has not been collected yet."""


class Writer:
    """`cache_of(resource)`: where answers are learned from."""

    def __init__(self, client: Client, cache_of: Callable[[Resource], Cache]) -> None:
        self._client = client
        self._cache_of = cache_of
        self._settled: dict[str, str] = {}

    async def apply(self, resource: Resource, body: Object, *, once: bool = False) -> None:
        """Makes a child what `body` says; `once`: one that is there stays as it is. Raises `NotOurs`, `StillLeaving`,
        `KubeError`.
        """
        cache, key, wanted = self._cache_of(resource), key_of(body), _with_hash(body)
        known = cache.get(key)
        live = await self._unseen(resource, key) if known is None and cache.is_partial else known
        if live is not None and not _owners(live, "uid") & _owners(wanted, "uid") and not is_orphan(live, wanted):
            if _owners(live, "name") & _owners(wanted, "name"):
                raise StillLeaving(f"{resource.kind} {key.name} is of an earlier LiveStream and on its way out")
            raise NotOurs(_not_ours(resource, key))
        if known is not None and (once or self._is_settled(known, wanted)):
            return
        try:
            # What is not known may be somebody else's: nothing is taken from others then.
            answered = await self._client.apply(resource, wanted, manager=MANAGER, force=live is not None)
        except Conflict as conflict:
            if live is None and conflict.managers:
                raise NotOurs(_not_ours(resource, key)) from conflict
            raise
        self._settled[answered["metadata"]["uid"]] = _version(answered)
        cache.learn(answered)

    async def create(self, resource: Resource, body: Object) -> Object | None:
        """Once. None: it is there already, or was a moment ago."""
        try:
            answered = await self._client.create(resource, body, manager=MANAGER)
        except AlreadyExists:
            return None
        self._cache_of(resource).learn(answered)
        return answered

    async def delete(self, resource: Resource, found: Object) -> None:
        """That very object; one that is gone is what was wanted."""
        metadata = found["metadata"]
        with contextlib.suppress(NotFound, Conflict):
            await self._client.delete(resource, metadata["name"], metadata.get("namespace"), uid=metadata["uid"])

    async def write_status(self, resource: Resource, live: Object, status: Object) -> bool:
        """Makes OnAir's part of the status what `status` says, if it is not. False: it was.

        Raises `Conflict` when the object is another one than `live` by now.
        """
        if own_part(live.get("status") or {}) == status:
            return False
        metadata = {name: live["metadata"][name] for name in ("name", "namespace") if live["metadata"].get(name)}
        body = {"metadata": metadata | {"resourceVersion": live["metadata"]["resourceVersion"]}, "status": status}
        answered = await self._client.apply_status(resource, body, manager=STATUS_MANAGER)
        if foreign := leftovers(answered.get("status") or {}, status):
            # Edited by hand. An apply leaves alone what is somebody else's: it would be found again for ever.
            name, namespace = metadata["name"], metadata.get("namespace")
            patch = {"status": foreign}
            answered = await self._client.patch(
                resource, name, namespace, patch, manager=STATUS_MANAGER, subresource="status"
            )
        self._cache_of(resource).learn(answered)
        return True

    def forget(self, _key: Key, old: Object | None, new: Object | None) -> None:
        """A change of a cache: what is gone does not come back with its uid."""
        if new is None and old is not None:
            self._settled.pop(old["metadata"]["uid"], None)

    async def _unseen(self, resource: Resource, key: Key) -> Object | None:
        """One of that name without the labels of children. Where it agrees with what is wanted, an apply would take it
        over without a conflict; with an owner reference it would go with the LiveStream.
        """
        named = Selection(resource, key.namespace, fields=f"metadata.name={key.name}", metadata_only=True)
        return next(iter((await self._client.list_all(named)).items), None)

    def _is_settled(self, live: Object, wanted: Object) -> bool:
        annotations = live["metadata"].get("annotations") or {}
        if annotations.get(CONTENT_HASH) != wanted["metadata"]["annotations"][CONTENT_HASH]:
            return False
        uid, version = live["metadata"]["uid"], _version(live)
        if self._settled.get(uid) == version:
            return True
        # Without a spec to be held against it, one that is met for the first time is believed to be what its hash says.
        parts = {name: wanted[name] for name in ("metadata", "spec") if name in wanted}  # in a list nothing has a kind
        as_wanted = _contains(live, parts) if "spec" in live else uid not in self._settled
        if as_wanted:
            self._settled[uid] = version
        return as_wanted


def is_orphan(live: Object, wanted: Object) -> bool:
    """Whether a child has lost its owner (`kubectl delete --cascade=orphan`, a backup that was restored): it is taken
    up again by the LiveStream of that name, as Kubernetes' own controllers do.
    """
    stream = wanted["metadata"]["labels"].get(LIVE_STREAM)
    labels = live["metadata"].get("labels") or {}
    return not live["metadata"].get("ownerReferences") and stream is not None and labels.get(LIVE_STREAM) == stream


def leftovers(found: Object, wanted: Object) -> Object:
    """What of a status is not `wanted`, as a merge patch that takes it away; conditions of others stay."""
    patch: Object = dict.fromkeys(found.keys() - wanted.keys() - {"conditions"})
    for name in found.keys() & wanted.keys():
        both = found[name], wanted[name]
        if all(isinstance(part, dict) for part in both) and (below := leftovers(*both)):
            patch[name] = below
    return patch


# Kinds whose status others write have to have a generation, or a spec that can be compared.
def _version(found: Object) -> str:
    metadata = found["metadata"]
    return str(metadata.get("generation") or metadata["resourceVersion"])


def _with_hash(body: Object) -> Object:
    metadata = body["metadata"]
    annotations = {**metadata.get("annotations", {}), CONTENT_HASH: stable_hash(body)}
    return {**body, "metadata": {**metadata, "annotations": annotations}}


def _owners(found: Object, field: str) -> set[tuple[str, str]]:
    return {(owner["kind"], owner[field]) for owner in found["metadata"].get("ownerReferences") or ()}


def _not_ours(resource: Resource, key: Key) -> str:
    return f"{resource.kind} {key.name} belongs to somebody else; remove it, or call the LiveStream something else"


def _contains(live: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is there; lists have to be as long and in the same order."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(name in live and _contains(live[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(_contains, live, wanted))
    return bool(live == wanted)
