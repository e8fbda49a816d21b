"""Kopf as a frame: it hears of three kinds, writes nothing, and is right about nothing that is gone."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import kopf
import pytest

from onair_core.backoff import Backoff
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
    registry = kopf_frame._registry(Source(), world, asyncio.get_running_loop())
    return list(registry._watching.get_all_handlers())


async def test_it_watches_the_primary_kinds_and_has_no_handlers_that_write(world: World) -> None:
    registry = kopf_frame._registry(Source(), world, asyncio.get_running_loop())
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
    await asyncio.sleep(0)
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
    found = kopf_frame._session(await Source().login())
    try:
        assert found.server == "https://127.0.0.1:6443" and found.default_namespace == "events"
        assert found.aiohttp_session.headers["Authorization"] == "Bearer token"
        assert found.expiration is not None and not found.aiohttp_session.trust_env
    finally:
        await found.aiohttp_session.close()


class Kopf:
    """In its place: gives up as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.begun: list[str] = []
        self.given: dict[str, Any] = {}
        self.left = 0
        self._failures = failures

    async def operator(self, *, stop_flag: asyncio.Event, **given: Any) -> None:
        self.begun.append(threading.current_thread().name)
        self.given = given
        if len(self.begun) <= self._failures:
            raise PermissionError("livestreams is forbidden")
        await stop_flag.wait()
        self.left += 1


@pytest.mark.parametrize("failures", [0, 3])
async def test_kopf_that_gives_up_begins_anew_and_leaves_when_it_shall(
    world: World, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """A kind that is not there or refused for a moment ends Kopf, and nothing else."""
    kopf_ = Kopf(failures)
    monkeypatch.setattr(kopf, "operator", kopf_.operator)
    monkeypatch.setattr(kopf_frame, "AGAIN", Backoff(0.01, 0.01))
    leave = asyncio.Event()
    running = asyncio.create_task(kopf_frame.run_kopf(Source(), Scope("onair-system"), world, leave))
    while len(kopf_.begun) <= failures:
        await asyncio.sleep(0.01)
    assert not running.done()
    leave.set()
    await asyncio.wait_for(running, 5)
    assert set(kopf_.begun) == {"kopf"} and kopf_.left == 1, "in a thread of its own, and ended in order"
    assert kopf_.given["clusterwide"] and kopf_.given["standalone"]


async def test_kopf_goes_with_whoever_is_cancelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kopf_ = Kopf(0)
    monkeypatch.setattr(kopf, "operator", kopf_.operator)
    running = asyncio.create_task(kopf_frame.run_kopf(Source(), Scope("x", ("events",)), world, asyncio.Event()))
    while not kopf_.begun:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 5)
    assert kopf_.left == 1 and kopf_.given["namespaces"] == ("events",)
