"""Kopf as a frame: it hears of three kinds, writes nothing, and is right about nothing that is gone."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import kopf
import pytest

from onair_core.kube.client import Client
from onair_core.kube.login import Login
from onair_core.kube.store import Key
from onair_operator import kopf_frame
from onair_operator.observe.world import Scope, Wake, World

NOBODY: Client = None  # type: ignore[assignment]  # nothing is asked


class Source:
    """A login, as it is now."""

    async def login(self) -> Login:
        return Login(server="https://127.0.0.1:6443", authorization="Bearer token", good_for=60.0, namespace="events")


@pytest.fixture
def world() -> World:
    found = World(NOBODY, Scope("onair-system"), bytes(32), Wake(*(lambda key: None,) * 3))
    for cache in found.caches:
        for reflector in cache.reflectors.values():
            reflector._store.begin(10)
            reflector._tell(reflector._store.end())
    return found


def handlers(world: World) -> list[Any]:
    registry = kopf_frame._registry(Source(), world, [])
    return list(registry._watching.get_all_handlers())


def test_it_watches_the_primary_kinds_and_has_no_handlers_that_write(world: World) -> None:
    registry = kopf_frame._registry(Source(), world, [])
    kinds = {handler.selector.any_name or handler.selector.plural for handler in handlers(world)}
    assert kinds == {"livestreams", "livestreamclasses", "assets"}
    for writing in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert not list(writing.get_all_handlers()), "finalizers, annotations, daemons, indices, admission"


async def test_what_it_hears_is_known_and_a_deletion_is_not_believed(world: World) -> None:
    (hear,) = (handler.fn for handler in handlers(world) if "livestreams" in str(handler.selector))
    metadata = {"namespace": "events", "name": "a", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}

    def stream(version: int) -> dict[str, Any]:
        return {"metadata": {**metadata, "resourceVersion": str(version)}, "spec": {}}

    for kind, version in ((None, 11), ("MODIFIED", 12), ("DELETED", 13)):
        await hear(event={"type": kind, "object": stream(version)})
    found = world.streams.get(Key("events", "a"))
    assert found is not None and found["metadata"]["resourceVersion"] == "12"


def test_it_keeps_no_books_on_objects() -> None:
    settings = kopf_frame._settings()
    assert not settings.posting.enabled and settings.peering.standalone and settings.scanning.disabled
    assert settings.execution.max_workers is None and settings.queueing.worker_limit is None
    diffs, progress = settings.persistence.diffbase_storage, settings.persistence.progress_storage
    body, patch = kopf.Body({"metadata": {"name": "a"}, "spec": {"title": "b"}}), kopf.Patch()
    assert diffs.build(body=body) == {} and diffs.fetch(body=body) is None
    essence = kopf.BodyEssence({})
    diffs.store(body=body, patch=patch, essence=essence)
    record: Any = {}
    progress.store(body=body, patch=patch, key=kopf.HandlerId("x"), record=record)  # type: ignore[attr-defined]
    progress.purge(body=body, patch=patch, key=kopf.HandlerId("x"))  # type: ignore[attr-defined]
    progress.touch(body=body, patch=patch, value=None)
    assert progress.clear(essence=essence) is essence and not patch


async def test_it_logs_in_as_we_do() -> None:
    found = await kopf_frame._session(Source())
    try:
        assert found.server == "https://127.0.0.1:6443" and found.default_namespace == "events"
        assert found.aiohttp_session.headers["Authorization"] == "Bearer token"
        assert found.expiration is not None and not found.aiohttp_session.trust_env
    finally:
        await found.aiohttp_session.close()


async def test_when_kopf_ends_by_itself_everything_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while Kopf starts is Kopf's: it stops, and nobody else knew why."""
    given: dict[str, Any] = {}

    async def operator(**more: Any) -> None:
        given.update(more)

    monkeypatch.setattr(kopf, "operator", operator)
    stop, leave = asyncio.Event(), asyncio.Event()
    try:
        await asyncio.wait_for(kopf_frame.run_kopf(Source(), Scope("onair-system"), world, stop, leave), 5)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)
    assert stop.is_set()
    assert given["clusterwide"] and given["standalone"] and given["stop_flag"] is leave
