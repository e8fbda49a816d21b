"""What reconciles read, and which of them a change wakes: caches, indices and triggers, without an API server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from onair_core.contract import StreamRef
from onair_core.kube.client import Client
from onair_core.kube.resources import LIVE_STREAM_CLASSES, PODS
from onair_core.kube.store import Key
from onair_operator.decide.plan import claim_before_reading
from onair_operator.desired.labels import LIVE_STREAM
from onair_operator.observe.cache import ByLabel, Cache
from onair_operator.observe.trim import trim_metadata, trim_pod
from onair_operator.observe.world import Scope, Wake, World

Object = dict[str, Any]
ROOT = bytes(range(32))
NOBODY: Client = None  # type: ignore[assignment]  # nothing is asked


def thing(namespace: str, name: str, version: int = 1, **more: Any) -> Object:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), **more.pop("metadata", {})}
    if namespace:
        metadata["namespace"] = namespace
    return {"metadata": metadata, **more}


def lists(cache: Cache, version: int, *objects: Object) -> None:
    """What the API server has at that moment."""
    for scope, reflector in cache.reflectors.items():
        reflector._store.begin(version)
        here = [found for found in objects if scope in (None, found["metadata"].get("namespace"))]
        reflector._tell(reflector._store.listed(here))
        reflector._tell(reflector._store.end())
        reflector.synced.set()


def watched(cache: Cache, kind: str, found: Object) -> None:
    reflector = cache._of(found["metadata"].get("namespace") or "")
    assert reflector is not None
    reflector._tell(reflector._store.watched(kind, found))


# One kind.


@pytest.mark.parametrize("namespaces", [(), ("events", "sports")])
def test_an_empty_cache_learns_too(namespaces: tuple[str, ...]) -> None:
    """The first pod of an installation: not known after it was made, it would be made again."""
    cache = Cache(NOBODY, PODS, namespaces)
    lists(cache, 10)
    assert cache.watches("events") and not len(cache)
    cache.learn(thing("events", "a", 11))
    assert cache.get(Key("events", "a")) is not None
    cache.hear(thing("events", "b", 12))
    assert {key.name for key in cache} == {"a", "b"}


def test_a_cache_of_some_namespaces_minds_no_other() -> None:
    cache = Cache(NOBODY, PODS, ("events",))
    lists(cache, 10)
    cache.learn(thing("elsewhere", "a", 11))
    cache.hear(thing("elsewhere", "a", 11))
    assert not len(cache) and not cache.watches("elsewhere") and cache.get(Key("elsewhere", "a")) is None
    assert Cache(NOBODY, LIVE_STREAM_CLASSES, ("events",)).watches(""), "classes are in no namespace"


def test_own_writes_are_no_news_but_for_those_who_ask() -> None:
    cache = Cache(NOBODY, PODS)
    news: list[tuple[str, bool]] = []
    cache.on_change(lambda key, old, new: news.append((key.name, False)))
    cache.on_change(lambda key, old, new: news.append((key.name, True)), own=True)
    lists(cache, 10)
    cache.learn(thing("events", "mine", 11))
    watched(cache, "ADDED", thing("events", "mine", 11))
    assert news == [("mine", True)], "nor is its echo"
    cache.hear(thing("events", "theirs", 12))
    assert news[1:] == [("theirs", False), ("theirs", True)]


def test_what_is_heard_does_not_bring_back_what_is_gone() -> None:
    cache = Cache(NOBODY, PODS)
    lists(cache, 10, thing("events", "a", 9))
    watched(cache, "DELETED", thing("events", "a", 12))
    cache.hear(thing("events", "a", 11))
    cache.learn(thing("events", "a", 12))
    assert not len(cache)


def test_an_index_by_label() -> None:
    cache = Cache(NOBODY, PODS)
    index = ByLabel(cache, "stream")

    def pod(name: str, version: int, **labels: str) -> Object:
        return thing("events", name, version, metadata={"labels": labels})

    lists(cache, 10, pod("a", 1, stream="x"), pod("b", 2, stream="x"), thing("events", "c", 3))
    assert [found["metadata"]["name"] for found in index.of("events", "x")] == ["a", "b"]
    assert index.of("sports", "x") == [] == index.of("events", "y")
    watched(cache, "MODIFIED", pod("a", 11, stream="y"))
    watched(cache, "MODIFIED", pod("b", 12))
    assert index.of("events", "x") == [] and len(index.of("events", "y")) == 1
    cache.learn(pod("a", 13, stream="y", more="1"))
    assert index.of("events", "y")[0]["metadata"]["labels"]["more"] == "1"
    watched(cache, "DELETED", pod("a", 14, stream="y"))
    assert index.of("events", "y") == [] and not index._found, "nothing is kept of groups that are empty"


def test_of_a_pod_little_is_kept() -> None:
    container = {"name": "ingest", "ready": True, "restartCount": 1, "imageID": "sha256:…", "state": {"running": {}}}
    whole = thing(
        "events",
        "a",
        metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "creationTimestamp": "2026-01-01T00:00:00Z"},
        spec={"nodeName": "n", "containers": [{"image": "x"}]},
        status={"phase": "Running", "podIP": "10.0.0.1", "qosClass": "Burstable", "containerStatuses": [container]},
    )
    kept = trim_pod(whole)
    assert kept["spec"] == {"nodeName": "n"} and "imageID" not in kept["status"]["containerStatuses"][0]
    assert kept["metadata"]["deletionTimestamp"] and "creationTimestamp" not in kept["metadata"]
    assert trim_pod({"metadata": {"name": "b"}})["status"] == {"containerStatuses": []}


def test_of_what_is_somebody_elses_next_to_nothing_is_kept() -> None:
    owner = {"apiVersion": "v1", "kind": "LiveStream", "name": "keynote", "uid": "u", "controller": True}
    metadata = {
        "labels": {"app.kubernetes.io/name": "onair", LIVE_STREAM: "keynote"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{…}"},
        "ownerReferences": [owner],
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    assert trim_metadata(thing("events", "a", metadata=metadata))["metadata"] == {
        "name": "a",
        "namespace": "events",
        "uid": "uid-a",
        "resourceVersion": "7",
        "labels": {LIVE_STREAM: "keynote"},
        "ownerReferences": [{"kind": "LiveStream", "name": "keynote", "uid": "u"}],
    }


# All of them.


class Woken:
    """Keys since it was last asked."""

    def __init__(self) -> None:
        self.streams: list[str] = []
        self.classes: list[str] = []
        self.assets: list[str] = []
        self.wake = Wake(
            lambda key: self.streams.append(str(key)),
            lambda key: self.classes.append(str(key)),
            lambda key: self.assets.append(str(key)),
        )

    def take(self) -> dict[str, set[str]]:
        found = {"streams": set(self.streams), "classes": set(self.classes), "assets": set(self.assets)}
        for each in (self.streams, self.classes, self.assets):
            each.clear()
        return {kind: keys for kind, keys in found.items() if keys}


class Stage:
    def __init__(self, *namespaces: str) -> None:
        self.woken = Woken()
        self.world = World(NOBODY, Scope("onair-system", namespaces), ROOT, self.woken.wake)
        self.version = 10
        for cache in self.world.caches:
            lists(cache, 10)

    def happens(self, cache: Cache, kind: str, found: Object) -> dict[str, set[str]]:
        """Who is woken by it."""
        self.version += 1
        newer = {**found, "metadata": {**found["metadata"], "resourceVersion": str(self.version)}}
        watched(cache, kind, newer)
        return self.woken.take()

    def is_written(self, cache: Cache, found: Object) -> dict[str, set[str]]:
        """Who is woken by a write of this process."""
        self.version += 1
        cache.learn({**found, "metadata": {**found["metadata"], "resourceVersion": str(self.version)}})
        return self.woken.take()


def stream(
    name: str, *, namespace: str = "events", ids: Iterable[str] = (), key: str | None = None, **status: Any
) -> Object:
    spec: Object = {"playback": [{"name": f"e{number}", "id": found} for number, found in enumerate(ids)]}
    if key is not None:
        spec["streamKey"] = {"secretRef": {"name": key, "key": "streamKey"}}
    metadata = {"creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}
    return thing(namespace, name, metadata=metadata, spec=spec, status=status)


def child(name: str, of: str, **metadata: Any) -> Object:
    return thing("events", name, metadata={"labels": {"onair.dev/live-stream": of}, **metadata})


def owned(name: str, of: str, uid: str) -> Object:
    return child(name, of, ownerReferences=[{"kind": "LiveStream", "name": of, "uid": uid}])


def cls(name: str, generation: int = 1, *, tls: str | None = None, default: bool = False, **status: Any) -> Object:
    metadata = {"generation": generation, "annotations": {"onair.dev/is-default-class": "true"} if default else {}}
    spec = {"ingest": {"tls": {"secretName": tls}}} if tls else {}
    return thing("", name, metadata=metadata, spec=spec, status=status)


def test_a_stream_and_its_children() -> None:
    stage = Stage()
    world = stage.world
    keynote = stream("keynote")
    assert stage.happens(world.streams, "ADDED", keynote) == {"streams": {"events/keynote"}}
    assert stage.is_written(world.streams, stream("keynote", phase="Idle")) == {}, "an own status is no news"
    for cache in (world.pods, world.services, world.secrets, world.policies, world.claims):
        made = owned("x", "keynote", "uid-keynote")
        assert stage.is_written(cache, made) == {}
        assert stage.happens(cache, "MODIFIED", made) == {"streams": {"events/keynote"}}
        assert stage.happens(cache, "DELETED", made) == {"streams": {"events/keynote"}}
        assert stage.happens(cache, "ADDED", thing("events", "theirs")) == {}
    assert stage.happens(world.streams, "DELETED", keynote) == {"streams": {"events/keynote"}}


def test_children_are_those_of_the_uid() -> None:
    stage = Stage()
    world = stage.world
    for cache in (world.pods, world.secrets):
        for found in (owned("old", "keynote", "before"), owned("new", "keynote", "now"), child("stray", "keynote")):
            stage.happens(cache, "ADDED", found)
    stage.happens(world.secrets, "ADDED", thing("events", "theirs"))
    stage.happens(world.services, "ADDED", owned("keynote-ingest", "keynote", "now"))
    there = world.children_of(StreamRef("events", "keynote", "now"))
    assert [found["metadata"]["name"] for found in (*there.pods, *there.secrets)] == ["new", "new"]
    assert there.service is not None and [pod["metadata"]["name"] for pod in there.strays] == ["stray"]
    assert world.children_of(StreamRef("events", "keynote", "before")).service is None
    assert not world.has_foreign_secret("events", "new", "keynote") and not world.has_foreign_secret(
        "events", "none", "keynote"
    )
    assert world.has_foreign_secret("events", "theirs", "keynote")
    assert not world.has_foreign_secret("events", "stray", "keynote"), "it has lost its owner, and is taken up"
    assert world.has_foreign_secret("events", "stray", "another")
    assert world.has_foreign_secret("events", "new", "another")
    assert not world.has_foreign_secret("events", "old", "keynote"), "it is on its way out: that is waited for"


def test_secrets_of_stream_keys() -> None:
    stage = Stage()
    world = stage.world
    stage.happens(world.streams, "ADDED", stream("own", key="mine"))
    stage.happens(world.streams, "ADDED", stream("generated"))
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        assert stage.happens(world.secrets, kind, thing("events", "mine")) == {"streams": {"events/own"}}
        foreign = thing("events", "generated-stream-key")
        assert stage.happens(world.secrets, kind, foreign) == {"streams": {"events/generated"}}
        assert stage.happens(world.secrets, kind, thing("sports", "mine")) == {}
    stage.happens(world.streams, "MODIFIED", stream("own", key="other"))
    assert stage.happens(world.secrets, "ADDED", thing("events", "mine")) == {}
    assert stage.happens(world.secrets, "ADDED", thing("events", "other")) == {"streams": {"events/own"}}
    stage.happens(world.streams, "DELETED", stream("own", key="other"))
    stage.happens(world.streams, "DELETED", stream("generated"))
    assert not world._naming and not world._keys_by_uid


def test_playback_ids_that_are_free_again() -> None:
    stage = Stage()
    world = stage.world
    stage.happens(world.streams, "ADDED", stream("holder", ids=["p"]))
    assert stage.happens(world.streams, "ADDED", stream("rival", ids=["p"]))["streams"] >= {"events/holder"}
    assert stage.happens(world.streams, "MODIFIED", stream("holder", ids=["q"]))["streams"] >= {"events/rival"}
    recording = {"status": {"playback": [{"id": "p"}]}, "spec": {"liveStream": {"name": "gone", "uid": "u"}}}
    asset = {**child("keynote-1", "gone"), **recording}
    told = stage.happens(world.assets, "ADDED", asset)
    assert told == {"streams": {"events/rival", "events/gone"}, "assets": {"events/keynote-1"}}
    assert world.grants.grant("uid-rival").conflicts == (("p", "Asset events/keynote-1"),)
    assert "events/rival" in stage.happens(world.assets, "DELETED", asset)["streams"]
    assert world.grants.grant("uid-rival").conflicts == ()


def test_who_waits_for_a_stream_key_is_woken_when_its_holder_goes() -> None:
    """What a stream's Secret says is known from reading it alone; no later event may forget that."""
    stage = Stage()
    world = stage.world
    holder, rival = stream("holder", key="a"), stream("rival", key="b")
    for found in (holder, rival):
        stage.happens(world.streams, "ADDED", found)
        read = claim_before_reading(found, ROOT)
        world.grants.claim(type(read)(uid=read.uid, name=read.name, created_at=read.created_at, entries=(), key="k"))
    assert world.grants.grant("uid-rival").key_holder == "events/holder"
    stage.is_written(world.streams, {**holder, "status": {"ingest": {"streamKeyFingerprint": "k"}}})
    stage.is_written(world.streams, {**rival, "status": {"phase": "Idle"}})
    stage.happens(world.streams, "MODIFIED", rival)
    assert world.grants.grant("uid-rival").key_holder == "events/holder"
    assert stage.happens(world.streams, "DELETED", holder)["streams"] >= {"events/rival"}
    assert world.grants.grant("uid-rival").key_holder is None
    # Another Secret may have another key: until that is read, nothing is claimed.
    stage.happens(world.streams, "MODIFIED", stream("rival", key="c"))
    claimed = world.grants.claimed("uid-rival")
    assert claimed is not None and claimed.key is None


def test_classes_and_their_certificates() -> None:
    stage = Stage()
    world = stage.world
    for name in ("a", "b"):
        stage.happens(world.streams, "ADDED", stream(name))
    everything = {"streams": {"events/a", "events/b"}, "classes": {"standard"}}
    assert stage.happens(world.classes, "ADDED", cls("standard", tls="ingest-tls")) == everything
    assert stage.happens(world.classes, "MODIFIED", cls("standard", tls="ingest-tls", Ready=True)) == {
        "classes": {"standard"}
    }
    assert stage.happens(world.classes, "MODIFIED", cls("standard", tls="ingest-tls", default=True)) == everything
    certificate = thing("onair-system", "ingest-tls")
    assert stage.happens(world.secrets, "ADDED", certificate) == everything
    assert stage.happens(world.secrets, "ADDED", thing("events", "ingest-tls")) == {}
    assert stage.happens(world.classes, "MODIFIED", cls("standard", 2)) == everything
    assert stage.happens(world.secrets, "MODIFIED", certificate) == {}
    assert stage.happens(world.classes, "ADDED", cls("second"))["classes"] == {"standard", "second"}


def test_assets_are_looked_at_when_what_they_are_on_may_be_gone() -> None:
    stage = Stage()
    world = stage.world
    stage.happens(world.streams, "ADDED", stream("keynote"))
    stage.happens(world.pods, "ADDED", owned("p", "keynote", "uid-keynote"))
    asset = {
        **child("keynote-1", "keynote"),
        "spec": {"liveStream": {"name": "keynote", "uid": "uid-keynote"}},
        "status": {},
    }
    assert stage.is_written(world.assets, asset) == {"assets": {"events/keynote-1"}}, "its pod may be gone since"
    recordings = world.assets_of(StreamRef("events", "keynote", "uid-keynote"))
    assert [found["metadata"]["name"] for found in recordings] == ["keynote-1"]
    assert world.assets_of(StreamRef("events", "keynote", "another")) == []
    assert stage.happens(world.pods, "DELETED", owned("p", "keynote", "uid-keynote"))["assets"] == {"events/keynote-1"}
    assert stage.happens(world.streams, "DELETED", stream("keynote"))["assets"] == {"events/keynote-1"}


def test_a_namespaced_installation_follows_its_own_secrets_and_no_more() -> None:
    world = Stage("events").world
    assert set(world.secrets.reflectors) == {"events", "onair-system"}
    for cache in (world.streams, world.assets, world.pods, world.services, world.policies, world.claims):
        assert set(cache.reflectors) == {"events"}
    assert set(world.classes.reflectors) == {None}
    assert set(Stage().world.secrets.reflectors) == {None}
