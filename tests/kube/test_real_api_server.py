"""What only a real API server can say: restarts, server-side apply, preconditions, leases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from real_api_server import RealApiServer, real_api_server

from onair_core.backoff import Backoff
from onair_core.kube.client import Client, PatchType, Selection
from onair_core.kube.errors import AlreadyExists, Conflict, Invalid, NotFound
from onair_core.kube.reflector import Reflector
from onair_core.kube.resources import CONFIG_MAPS, LEASES, NODES
from onair_core.kube.store import Key, Object
from onair_operator.lease import Election, Terms

pytestmark = pytest.mark.timeout(300)
MANY = 1200
OURS = Selection(CONFIG_MAPS, "default", labels="of=test")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RealApiServer]:
    async with real_api_server(tmp_path) as server:
        yield server


def config(name: str, value: str = "1") -> Object:
    metadata = {"namespace": "default", "name": name, "labels": {"of": "test"}}
    return {"metadata": metadata, "data": {"value": value}}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


async def test_objects_deleted_while_the_server_was_away_leave_no_ghost(api: RealApiServer) -> None:
    """The first reflector resumes and is told; the second is away when it happens, and its list has to tell."""
    async with Client(api.login) as client:
        await asyncio.gather(*(client.apply(CONFIG_MAPS, config(f"c{n}"), manager="onair") for n in range(MANY)))
        metadata = Selection(CONFIG_MAPS, "default", labels="of=test", metadata_only=True)
        followers = [Reflector(client, found, backoff=Backoff(0.05, 0.5)) for found in (OURS, metadata)]
        gone: list[list[str]] = [[], []]
        for follower, names in zip(followers, gone, strict=True):
            follower.on_change(lambda key, old, new, names=names: names.append(key.name) if new is None else None)
        running = [asyncio.create_task(follower.run()) for follower in followers]
        await asyncio.gather(*(follower.synced.wait() for follower in followers))
        assert [len(follower) for follower in followers] == [MANY, MANY]
        assert set(followers[1].get(Key("default", "c0")) or {}) == {"metadata"}

        api.kill()
        await until(lambda: all(follower.trouble for follower in followers))
        await api.start()
        # The second is not there when these are deleted.
        running[1].cancel()
        await asyncio.gather(*(client.delete(CONFIG_MAPS, f"c{n}", "default") for n in range(50)))
        await client.apply(CONFIG_MAPS, config("new"), manager="onair")
        api.kill()
        followers[1]._listed = False  # what 410 does to it
        running[1] = asyncio.create_task(followers[1].run())
        await api.start()

        there = {item["metadata"]["name"] for item in (await client.list_all(OURS)).items}
        for follower, names in zip(followers, gone, strict=True):
            await until(lambda follower=follower: {key.name for key, _ in follower.items()} == there)  # type: ignore[misc]
            assert sorted(names) == sorted(f"c{n}" for n in range(50))
            await until(lambda follower=follower: follower.trouble is None)  # type: ignore[misc]
        for task in running:
            task.cancel()


async def test_writes(api: RealApiServer) -> None:
    async with Client(api.login) as client:
        made = await client.apply(CONFIG_MAPS, config("a"), manager="onair")
        again = await client.apply(CONFIG_MAPS, config("a"), manager="onair")
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        with pytest.raises(Conflict) as caught:
            await client.apply(CONFIG_MAPS, config("a", "2"), manager="argocd", force=False)
        assert caught.value.managers == ("onair",)
        with pytest.raises(AlreadyExists):
            await client.create(CONFIG_MAPS, config("a"), manager="onair")
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAPS, "a", "default", uid="another")
        await client.patch(CONFIG_MAPS, "a", "default", {"data": {"b": "2"}}, manager="onair")
        removal: list[Any] = [{"op": "remove", "path": "/data/b"}]
        patched = await client.patch(CONFIG_MAPS, "a", "default", removal, manager="onair", content=PatchType.JSON)
        assert patched["data"] == {"value": "1"}
        with pytest.raises(Conflict):
            await client.replace(CONFIG_MAPS, made | {"data": {}}, manager="onair")
        await client.delete(CONFIG_MAPS, "a", "default", uid=made["metadata"]["uid"])
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAPS, "a", "default")
        with pytest.raises(Invalid):
            await client.apply(CONFIG_MAPS, config("Not A Name"), manager="onair")


async def test_a_status_is_written_without_its_spec(api: RealApiServer) -> None:
    async with Client(api.login) as client:
        await client.apply(NODES, {"metadata": {"name": "n"}, "spec": {"podCIDR": "10.0.0.0/24"}}, manager="onair")
        body: Object = {"metadata": {"name": "n"}, "spec": {"podCIDR": "10.9.0.0/24"}, "status": {"phase": "Running"}}
        written = await client.apply_status(NODES, body, manager="onair-status")
        assert written["status"]["phase"] == "Running" and written["spec"]["podCIDR"] == "10.0.0.0/24"


async def test_two_candidates_share_a_lease(api: RealApiServer) -> None:
    async with Client(api.login) as client:
        terms = Terms(duration=3.0, renew_every=0.5, margin=1.0)
        a, b = (Election(client, "default", "operator", name, terms=terms) for name in "ab")
        running = {election: asyncio.create_task(election.run()) for election in (a, b)}
        await until(lambda: a.leading.is_set() or b.leading.is_set())
        leader, other = (a, b) if a.leading.is_set() else (b, a)
        running[leader].cancel()
        await other.leading.wait()
        assert not leader.leading.is_set()
        lease = await client.get(LEASES, "operator", "default")
        assert lease["spec"]["leaseTransitions"] >= 1 and lease["spec"]["leaseDurationSeconds"] == 3
        running[other].cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
        assert (await client.get(LEASES, "operator", "default"))["spec"]["holderIdentity"] == ""
