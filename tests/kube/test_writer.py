"""Writes of the operator on a real API server: how many there are, and what they take from whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kubelab.nodeless import ControlPlane
from onair_core.kube.client import Call, Client
from onair_core.kube.errors import Conflict, Invalid, NotFound
from onair_core.kube.kubeconfig import Kubeconfig
from onair_core.kube.resources import LIVE_STREAMS, NETWORK_POLICIES, SECRETS, SERVICES, Resource
from onair_core.kube.store import Key
from onair_operator.apply.writer import CONTENT_HASH, NotOurs, StillLeaving, Writer
from onair_operator.desired.labels import LIVE_STREAM, managed_selector
from onair_operator.observe.cache import Cache

Object = dict[str, Any]
LABELS = dict(pair.split("=") for pair in managed_selector().split(","))


class Stage:
    """A writer, and the caches that it learns into."""

    def __init__(self, client: Client, namespace: str, calls: list[Call]) -> None:
        self.client, self.namespace, self._calls = client, namespace, calls
        self.caches = {
            SECRETS: Cache(client, SECRETS, metadata_only=True),
            SERVICES: Cache(client, SERVICES, labels=managed_selector()),
            NETWORK_POLICIES: Cache(client, NETWORK_POLICIES, labels=managed_selector(), metadata_only=True),
            LIVE_STREAMS: Cache(client, LIVE_STREAMS),
        }
        self.owner: Object = {}
        self.writer = self.another()

    def another(self) -> Writer:
        """As after a restart."""
        made = Writer(self.client, lambda resource: self.caches[resource])
        for cache in self.caches.values():
            cache.on_change(made.forget, own=True)
        return made

    def writes(self) -> int:
        """Since this was last asked."""
        found = sum(call.verb in ("create", "patch", "delete", "update") for call in self._calls)
        self._calls.clear()
        return found

    def child(self, kind: str, name: str, owner: str | None = None, **more: Any) -> Object:
        uid = owner or self.owner["metadata"]["uid"]
        reference = {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStream", "name": "keynote", "uid": uid}
        metadata = {"name": name, "namespace": self.namespace, "labels": LABELS, "ownerReferences": [reference]}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}

    def service(self, port: int = 80, **more: Any) -> Object:
        return self.child(
            "Service",
            "keynote-ingest",
            spec={"ports": [{"name": "rtmp", "port": port}], "selector": {"a": "b"}},
            **more,
        )

    def secret(self, value: str = "eA==", **more: Any) -> Object:
        return self.child("Secret", "keynote-stream-key", data={"streamKey": value}, **more)

    async def known(self, resource: Resource, name: str, wanted: Any) -> Object | None:
        """Once the cache has it as it is wanted."""
        key = Key(self.namespace, name)
        while not wanted(self.caches[resource].get(key)):
            await asyncio.sleep(0.01)
        return self.caches[resource].get(key)

    async def patched(self, resource: Resource, name: str, body: Object) -> None:
        """By somebody else, and known."""
        done = await self.client.patch(resource, name, self.namespace, body, manager="somebody")
        version = done["metadata"]["resourceVersion"]
        await self.known(resource, name, lambda found: found and found["metadata"]["resourceVersion"] == version)
        self._calls.clear()


@pytest.fixture
async def stage(control_plane: ControlPlane, crds: None, namespace: str) -> AsyncIterator[Stage]:
    calls: list[Call] = []
    async with Client(Kubeconfig((control_plane.kubeconfig,)), observe=calls.append) as client:
        found = Stage(client, namespace, calls)
        following = [
            asyncio.create_task(reflector.run())
            for cache in found.caches.values()
            for reflector in cache.reflectors.values()
        ]
        await asyncio.gather(*(cache.synced() for cache in found.caches.values()))
        metadata = {"name": "keynote", "namespace": namespace}
        spec = {"title": "Keynote", "playback": [{}]}
        body = {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStream", "metadata": metadata, "spec": spec}
        found.owner = await client.create(LIVE_STREAMS, body, manager="test")
        calls.clear()
        yield found
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def test_what_is_as_wanted_is_not_written_again(stage: Stage) -> None:
    for writer in (stage.writer, stage.writer, stage.another()):
        await writer.apply(SERVICES, stage.service())
        await writer.apply(SECRETS, stage.secret())
    assert stage.writes() == 2, "nor after a restart"
    await stage.writer.apply(SERVICES, stage.service(81))
    await stage.writer.apply(SECRETS, stage.secret("eQ=="))
    assert stage.writes() == 2
    found = await stage.client.get(SECRETS, "keynote-stream-key", stage.namespace)
    assert found["data"] == {"streamKey": "eQ=="} and found["metadata"]["annotations"][CONTENT_HASH]


async def test_what_others_change_is_applied_again_once(stage: Stage) -> None:
    await stage.writer.apply(SERVICES, stage.service())
    await stage.writer.apply(SECRETS, stage.secret())
    stage.writes()
    # Of no business of ours: a Service can be held against what is wanted, of a Secret only the version is known.
    await stage.patched(SERVICES, "keynote-ingest", {"metadata": {"annotations": {"example.com/a": "b"}}})
    await stage.writer.apply(SERVICES, stage.service())
    assert stage.writes() == 0
    await stage.patched(SECRETS, "keynote-stream-key", {"data": {"more": "eA=="}})
    for _ in range(3):
        await stage.writer.apply(SECRETS, stage.secret())
    assert stage.writes() == 1
    await stage.patched(SERVICES, "keynote-ingest", {"spec": {"selector": {"a": "c"}}})
    for _ in range(3):
        await stage.writer.apply(SERVICES, stage.service())
    assert stage.writes() == 1
    found = await stage.client.get(SERVICES, "keynote-ingest", stage.namespace)
    assert found["spec"]["selector"] == {"a": "b"} and found["metadata"]["annotations"]["example.com/a"] == "b"


async def test_a_restart_sees_what_was_changed_in_a_spec_that_it_has(stage: Stage) -> None:
    await stage.writer.apply(SERVICES, stage.service())
    await stage.patched(SERVICES, "keynote-ingest", {"spec": {"selector": {"a": "c"}}})
    later = stage.another()
    for _ in range(2):
        await later.apply(SERVICES, stage.service())
    assert stage.writes() == 1


async def test_nothing_is_taken_from_others(stage: Stage) -> None:
    theirs = stage.service()
    metadata = {"name": "keynote-ingest", "namespace": stage.namespace}
    before = await stage.client.apply(SERVICES, {**theirs, "metadata": metadata}, manager="somebody")
    stage.writes()
    with pytest.raises(NotOurs, match="Service keynote-ingest belongs to somebody else"):
        await stage.writer.apply(SERVICES, stage.service())
    labelled = {**theirs, "metadata": {**metadata, "labels": LABELS}}
    await stage.client.apply(SERVICES, labelled, manager="somebody")
    await stage.known(SERVICES, "keynote-ingest", lambda found: found)
    stage.writes()
    with pytest.raises(NotOurs):
        await stage.writer.apply(SERVICES, stage.service())
    assert stage.writes() == 0
    after = await stage.client.get(SERVICES, "keynote-ingest", stage.namespace)
    assert after["spec"] == before["spec"] and "ownerReferences" not in after["metadata"]


async def test_a_child_whose_labels_somebody_took_gets_them_back(stage: Stage) -> None:
    await stage.writer.apply(SERVICES, stage.service())
    await stage.client.patch(
        SERVICES,
        "keynote-ingest",
        stage.namespace,
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}},
        manager="x",
    )
    await stage.known(SERVICES, "keynote-ingest", lambda found: found is None)
    await stage.writer.apply(SERVICES, stage.service())
    await stage.known(SERVICES, "keynote-ingest", lambda found: found is not None)


async def test_one_of_an_earlier_stream_is_waited_for(stage: Stage) -> None:
    """Whether its owner is still in the way, or the cache knows nothing of it yet."""
    await stage.writer.apply(SERVICES, stage.service(owner="00000000-0000-0000-0000-000000000001"))
    for _ in range(2):
        with pytest.raises(StillLeaving, match="on its way out"):
            await stage.writer.apply(SERVICES, stage.service())
        stage.caches[SERVICES] = Cache(stage.client, SERVICES, labels=managed_selector())


async def test_what_is_made_once_stays_as_it_is_and_is_no_less_its_owners(stage: Stage) -> None:
    earlier = "00000000-0000-0000-0000-000000000001"
    await stage.writer.apply(SERVICES, stage.service(owner=earlier), once=True)
    with pytest.raises(StillLeaving):
        await stage.writer.apply(SERVICES, stage.service(), once=True)
    stage.writes()
    await stage.writer.apply(SERVICES, stage.service(81, owner=earlier), once=True)
    assert stage.writes() == 0


async def test_what_is_gone_is_not_remembered(stage: Stage) -> None:
    await stage.writer.apply(SERVICES, stage.service())
    await stage.writer.apply(SECRETS, stage.secret())
    assert len(stage.writer._settled) == 2
    await stage.writer.delete(SERVICES, await stage.client.get(SERVICES, "keynote-ingest", stage.namespace))
    await stage.client.delete(SECRETS, "keynote-stream-key", stage.namespace)
    for resource, name in ((SERVICES, "keynote-ingest"), (SECRETS, "keynote-stream-key")):
        await stage.known(resource, name, lambda found: found is None)
    assert not stage.writer._settled
    await stage.writer.apply(SERVICES, stage.service())
    assert stage.caches[SERVICES].get(Key(stage.namespace, "keynote-ingest"))


async def test_only_that_very_object_is_deleted(stage: Stage) -> None:
    await stage.writer.apply(SECRETS, stage.secret())
    found = await stage.client.get(SECRETS, "keynote-stream-key", stage.namespace)
    another = {**found, "metadata": {**found["metadata"], "uid": "another"}}
    await stage.writer.delete(SECRETS, another)
    assert await stage.client.get(SECRETS, "keynote-stream-key", stage.namespace)
    for _ in range(2):
        await stage.writer.delete(SECRETS, found)
    with pytest.raises(NotFound):
        await stage.client.get(SECRETS, "keynote-stream-key", stage.namespace)


async def test_a_create_happens_once(stage: Stage) -> None:
    assert await stage.writer.create(SECRETS, stage.secret())
    assert await stage.writer.create(SECRETS, stage.secret()) is None
    with pytest.raises(Invalid):
        await stage.writer.create(SECRETS, stage.child("Secret", "Not A Name"))


async def test_a_status_is_written_when_it_differs_and_on_what_was_seen(stage: Stage) -> None:
    key = Key(stage.namespace, "keynote")
    live = await stage.known(LIVE_STREAMS, "keynote", lambda found: found)
    assert live is not None
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "x",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    wanted = {"phase": "Idle", "conditions": [{**ready, "observedGeneration": 1}]}
    assert await stage.writer.write_status(LIVE_STREAMS, live, wanted)
    now = stage.caches[LIVE_STREAMS].get(key)
    assert now is not None and now["status"] == wanted, "the answer is known at once"
    assert not await stage.writer.write_status(LIVE_STREAMS, now, wanted)
    with pytest.raises(Conflict):
        await stage.writer.write_status(LIVE_STREAMS, live, {"phase": "Active"})

    theirs = {
        "metadata": {"name": "keynote", "namespace": stage.namespace},
        "status": {"conditions": [{**ready, "type": "a/B"}]},
    }
    await stage.client.apply_status(LIVE_STREAMS, theirs, manager="somebody")
    now = await stage.known(LIVE_STREAMS, "keynote", lambda found: len(found["status"]["conditions"]) == 2)
    stage.writes()
    assert now is not None and not await stage.writer.write_status(LIVE_STREAMS, now, wanted) and stage.writes() == 0
    await stage.writer.write_status(LIVE_STREAMS, now, {"phase": "Active"})
    found = await stage.client.get(LIVE_STREAMS, "keynote", stage.namespace)
    assert found["status"] == {"phase": "Active", "conditions": [{**ready, "type": "a/B"}]}


async def test_what_somebody_wrote_into_a_status_by_hand_goes(stage: Stage) -> None:
    """An apply leaves alone what it does not own, so that it would be found, and written, for ever."""
    live = await stage.known(LIVE_STREAMS, "keynote", lambda found: found)
    assert live is not None
    broadcast = {"id": "b1", "epoch": 1}
    wanted = {"phase": "Active", "broadcast": broadcast}
    await stage.writer.write_status(LIVE_STREAMS, live, wanted)
    for by_hand in ({"activeAsset": "nonsense"}, {"broadcast": {"deadline": "2026-01-01T00:00:00Z"}}):
        patch = {"status": by_hand}
        await stage.client.patch(
            LIVE_STREAMS, "keynote", stage.namespace, patch, manager="kubectl-edit", subresource="status"
        )
        edited = await stage.known(LIVE_STREAMS, "keynote", lambda found: found["status"] != wanted)
        assert edited is not None and await stage.writer.write_status(LIVE_STREAMS, edited, wanted)
        now = stage.caches[LIVE_STREAMS].get(Key(stage.namespace, "keynote"))
        assert now is not None and now["status"] == wanted
        assert not await stage.writer.write_status(LIVE_STREAMS, now, wanted)
    # Also where it is to be nothing at all.
    now = stage.caches[LIVE_STREAMS].get(Key(stage.namespace, "keynote"))
    assert now is not None
    await stage.writer.write_status(LIVE_STREAMS, now, {"phase": "Idle"})
    assert (await stage.client.get(LIVE_STREAMS, "keynote", stage.namespace))["status"] == {"phase": "Idle"}


async def test_a_child_that_was_left_without_an_owner_is_taken_up_again(stage: Stage) -> None:
    """As by `kubectl delete --cascade=orphan`; one of another stream is not."""
    mine = {**LABELS, LIVE_STREAM: "keynote"}
    service = stage.service()
    service["metadata"]["labels"] = mine
    orphan = {**service, "metadata": {name: v for name, v in service["metadata"].items() if name != "ownerReferences"}}
    await stage.client.apply(SERVICES, orphan, manager="onair-operator")
    await stage.known(SERVICES, "keynote-ingest", lambda found: found)
    await stage.writer.apply(SERVICES, service)
    found = await stage.client.get(SERVICES, "keynote-ingest", stage.namespace)
    assert found["metadata"]["ownerReferences"] == service["metadata"]["ownerReferences"]

    other = {**orphan, "metadata": {**orphan["metadata"], "name": "other", "labels": {**mine, LIVE_STREAM: "other"}}}
    await stage.client.apply(SERVICES, other, manager="onair-operator")
    await stage.known(SERVICES, "other", lambda found: found)
    with pytest.raises(NotOurs):
        await stage.writer.apply(SERVICES, {**service, "metadata": {**service["metadata"], "name": "other"}})
