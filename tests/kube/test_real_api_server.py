"""The client on a real API server: restarts, a thousand objects, server-side apply, preconditions, leases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from control_plane_fixtures import ready
from kubelab.nodeless import ControlPlane
from onair_core.backoff import Backoff
from onair_core.kube.client import PAGE, Call, Client, PatchType, Selection
from onair_core.kube.errors import AlreadyExists, Conflict, Invalid, NotFound
from onair_core.kube.kubeconfig import Kubeconfig
from onair_core.kube.reflector import Reflector
from onair_core.kube.resources import CONFIG_MAPS, LEASES, LIVE_STREAMS
from onair_core.kube.store import Key, Object
from onair_operator.lease import Election, Terms

pytestmark = pytest.mark.timeout(300)
MANY = 1001  # more than a page


def config(namespace: str, name: str, value: str = "1") -> Object:
    return {"metadata": {"namespace": namespace, "name": name}, "data": {"value": value}}


def stream(namespace: str, name: str) -> Object:
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"playback": [{}]}}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


async def test_streams_deleted_while_the_server_was_away_leave_no_ghost(
    control_plane: ControlPlane, crds: None, namespace: str
) -> None:
    """The first reflector resumes and is told; the second is away when it happens, and its list has to tell."""
    asked: list[Call] = []
    async with Client(Kubeconfig((control_plane.kubeconfig,)), observe=asked.append) as client:
        every = Selection(LIVE_STREAMS, namespace)
        crowd = asyncio.Semaphore(16)

        async def apply(name: str) -> None:
            async with crowd:
                await client.apply(LIVE_STREAMS, stream(namespace, name), manager="onair")

        await asyncio.gather(*(apply(f"s{n}") for n in range(MANY)))
        selections = (every, Selection(LIVE_STREAMS, namespace, metadata_only=True))
        followers = [Reflector(client, found, backoff=Backoff(0.05, 0.5)) for found in selections]
        gone: list[list[str]] = [[], []]
        for follower, names in zip(followers, gone, strict=True):
            follower.on_change(lambda key, old, new, names=names: names.append(key.name) if new is None else None)
        running = [asyncio.create_task(follower.run()) for follower in followers]
        await asyncio.gather(*(follower.synced.wait() for follower in followers))
        assert [call.verb for call in asked].count("list") == 2 * -(-MANY // PAGE)
        assert [len(follower) for follower in followers] == [MANY, MANY]
        assert set(followers[1].get(Key(namespace, "s0")) or {}) == {"metadata"}

        control_plane.kill_api_server()
        await until(lambda: all(follower.trouble for follower in followers))
        control_plane.spawn_api_server()
        await ready(control_plane)
        # The second is not there when these are deleted.
        running[1].cancel()
        await asyncio.gather(*(client.delete(LIVE_STREAMS, f"s{n}", namespace) for n in range(50)))
        await client.apply(LIVE_STREAMS, stream(namespace, "new"), manager="onair")
        control_plane.kill_api_server()
        followers[1]._listed = False  # what 410 does to it
        running[1] = asyncio.create_task(followers[1].run())
        control_plane.spawn_api_server()
        await ready(control_plane)

        there = {item["metadata"]["name"] for item in (await client.list_all(every)).items}
        assert len(there) == MANY - 50 + 1
        for follower, names in zip(followers, gone, strict=True):
            await until(lambda follower=follower: {key.name for key, _ in follower.items()} == there)  # type: ignore[misc]
            assert sorted(names) == sorted(f"s{n}" for n in range(50))
            await until(lambda follower=follower: follower.trouble is None)  # type: ignore[misc]
        for task in running:
            task.cancel()


async def test_writes(api: Client, namespace: str) -> None:
    made = await api.apply(CONFIG_MAPS, config(namespace, "a"), manager="onair")
    again = await api.apply(CONFIG_MAPS, config(namespace, "a"), manager="onair")
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    with pytest.raises(Conflict) as caught:
        await api.apply(CONFIG_MAPS, config(namespace, "a", "2"), manager="argocd", force=False)
    assert caught.value.managers == ("onair",)
    with pytest.raises(AlreadyExists):
        await api.create(CONFIG_MAPS, config(namespace, "a"), manager="onair")
    with pytest.raises(Conflict):
        await api.delete(CONFIG_MAPS, "a", namespace, uid="another")
    await api.patch(CONFIG_MAPS, "a", namespace, {"data": {"b": "2"}}, manager="onair")
    removal: list[Any] = [{"op": "remove", "path": "/data/b"}]
    patched = await api.patch(CONFIG_MAPS, "a", namespace, removal, manager="onair", content=PatchType.JSON)
    assert patched["data"] == {"value": "1"}
    with pytest.raises(Conflict):
        await api.replace(CONFIG_MAPS, made | {"data": {}}, manager="onair")
    await api.delete(CONFIG_MAPS, "a", namespace, uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await api.get(CONFIG_MAPS, "a", namespace)
    with pytest.raises(Invalid):
        await api.apply(CONFIG_MAPS, config(namespace, "Not A Name"), manager="onair")


async def test_two_candidates_share_a_lease(api: Client, namespace: str) -> None:
    terms = Terms(duration=3.0, renew_every=0.5, margin=1.0)
    a, b = (Election(api, namespace, "operator", name, terms=terms) for name in "ab")
    running = {election: asyncio.create_task(election.run()) for election in (a, b)}
    await until(lambda: a.leading.is_set() or b.leading.is_set())
    leader, other = (a, b) if a.leading.is_set() else (b, a)
    running[leader].cancel()
    await other.leading.wait()
    assert not leader.leading.is_set()
    lease = await api.get(LEASES, "operator", namespace)
    assert lease["spec"]["leaseTransitions"] >= 1 and lease["spec"]["leaseDurationSeconds"] == 3
    running[other].cancel()
    await asyncio.gather(*running.values(), return_exceptions=True)
    assert (await api.get(LEASES, "operator", namespace))["spec"]["holderIdentity"] == ""
