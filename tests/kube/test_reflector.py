"""A reflector against everything that a watch may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from api_server import CUT, GONE, SILENT, ApiServer, Step, bookmark, event, page, pod, refusal, stream

from onair_core.backoff import Backoff
from onair_core.kube.client import Client, Selection
from onair_core.kube.reflector import Reflector
from onair_core.kube.resources import PODS
from onair_core.kube.store import Key, Object


class Follower:
    """A reflector that runs, and what it told."""

    def __init__(self, client: Client) -> None:
        self.reflector = Reflector(client, Selection(PODS), backoff=Backoff(0.001, 0.01))
        self.told: list[tuple[str, bool, bool]] = []
        self.reflector.on_change(self._note)

    def _note(self, key: Key, old: Object | None, new: Object | None) -> None:
        self.told.append((key.name, old is not None, new is not None))

    def names(self) -> set[str]:
        return {key.name for key, _ in self.reflector.items()}

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def following(client: Client) -> AsyncIterator[Follower]:
    follower = Follower(client)
    running = asyncio.create_task(follower.reflector.run())
    try:
        yield follower
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_list_then_events(client: Client, server: ApiServer) -> None:
    server.lists += [page(7, pod("a", 3), following="x"), page(7, pod("b", 4))]
    server.watches.append(stream(event("MODIFIED", pod("a", 8)), event("DELETED", pod("b", 9)), SILENT))
    async with following(client) as follower:
        await follower.reflector.synced.wait()
        assert follower.told[:2] == [("a", False, True), ("b", False, True)]
        await follower.until(lambda: len(follower.told) == 4)
        assert follower.told[2:] == [("a", True, True), ("b", True, False)] and follower.names() == {"a"}
        assert follower.reflector.silent_for() < float("inf")


@pytest.mark.parametrize("end", [(), (CUT,), (SILENT,)], ids=["ended", "cut", "silent"])
async def test_a_watch_goes_on_from_where_it_was(client: Client, server: ApiServer, end: tuple[Step, ...]) -> None:
    server.lists.append(page(7, pod("a", 3)))
    server.watches += [stream(bookmark(30), *end), stream(event("ADDED", pod("b", 31)), SILENT)]
    async with following(client) as follower:
        await follower.until(lambda: "b" in follower.names())
    assert server.asked("resourceVersion")[:2] == ["7", "30"] and server.asked("limit") == ["100"]


async def test_what_vanished_while_the_position_was_forgotten_is_told(client: Client, server: ApiServer) -> None:
    server.lists += [page(7, pod("a", 3), pod("b", 4)), page(20, pod("b", 4), pod("c", 15))]
    server.watches += [stream(GONE), stream(SILENT)]
    async with following(client) as follower:
        await follower.until(lambda: "c" in follower.names() and "a" not in follower.names())
        assert follower.told[2:] == [("c", False, True), ("a", True, False)]


async def test_not_synced_before_the_last_page_and_a_list_half_way_gone_is_begun_again(
    client: Client, server: ApiServer
) -> None:
    server.lists += [page(7, pod("a", 3), following="x"), refusal(410, "Expired"), page(9, pod("b", 8))]
    async with following(client) as follower:
        follower.reflector.on_change(lambda *change: unsynced.append(not follower.reflector.synced.is_set()))
        unsynced: list[bool] = []
        await follower.reflector.synced.wait()
        assert follower.names() == {"b"} and all(unsynced)


async def test_a_crd_that_is_not_there_yet_is_waited_for(client: Client, server: ApiServer) -> None:
    server.lists += [refusal(404), refusal(403), refusal(404), page(7, pod("a", 3))]
    async with following(client) as follower:
        await follower.until(lambda: follower.reflector.trouble is not None)
        await follower.reflector.synced.wait()
        assert follower.names() == {"a"} and follower.reflector.trouble is None


async def test_a_watch_that_is_open_again_is_no_trouble_before_it_brings_anything(
    client: Client, server: ApiServer
) -> None:
    server.lists.append(page(7))
    server.watches += [*[refusal(503)] * 10, stream(SILENT)]  # long enough to be seen
    async with following(client) as follower:
        await follower.until(lambda: follower.reflector.trouble is not None)
        await follower.until(lambda: follower.reflector.trouble is None)
        assert not follower.told


async def test_a_handler_that_fails_harms_nobody_else(client: Client, server: ApiServer) -> None:
    server.lists.append(page(7, pod("a", 3), pod("b", 4)))
    follower = Follower(client)

    def fail(*change: object) -> None:
        raise ValueError("broken")

    follower.reflector._handlers.insert(0, fail)
    running = asyncio.create_task(follower.reflector.run())
    await follower.reflector.synced.wait()
    assert [name for name, _, _ in follower.told] == ["a", "b"]
    running.cancel()


async def test_an_own_write_is_no_news_when_it_comes_back(client: Client, server: ApiServer) -> None:
    server.lists.append(page(7, pod("a", 3)))
    server.watches.append(stream(SILENT))
    async with following(client) as follower:
        await follower.reflector.synced.wait()
        follower.reflector.learn(pod("a", 8))
        server.watches.append(stream(event("MODIFIED", pod("a", 8)), event("ADDED", pod("b", 9)), SILENT))
        await follower.until(lambda: "b" in follower.names())
        assert follower.told == [("a", False, True), ("a", True, True), ("b", False, True)]
