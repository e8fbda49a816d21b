"""The installation's root secret on a real API server: made once, and only where nothing can have come from another."""

from __future__ import annotations

import asyncio
import base64

import pytest
from operator_process import Channel, path_of

from kubelab.nodeless import ControlPlane
from onair_core.kube.client import Client
from onair_core.kube.errors import Forbidden, Unavailable
from onair_core.kube.kubeconfig import Kubeconfig
from onair_core.kube.resources import SECRETS
from onair_operator import root_secret
from onair_operator.observe.world import Scope

pytestmark = pytest.mark.usefixtures("crds")
NAME = "onair-root"


@pytest.fixture
def scope(namespace: str, monkeypatch: pytest.MonkeyPatch) -> Scope:
    """An installation that watches its own namespace."""
    monkeypatch.setattr(root_secret, "AGAIN_SECONDS", 0.05)
    return Scope(namespace, (namespace,))


def bring(plane: ControlPlane, namespace: str, **data: str) -> None:
    body = {"metadata": {"name": NAME, "namespace": namespace}, "data": data}
    plane.api.create(path_of("secrets", namespace), body)


async def condition(channel: Channel, reason: str) -> None:
    while (await asyncio.to_thread(channel.condition, "Stalled")) != ("True", reason):
        await asyncio.sleep(0.02)


async def test_it_is_made_once(api: Client, scope: Scope) -> None:
    made = await asyncio.gather(*(root_secret.root_secret(api, scope, NAME) for _ in range(5)))
    assert len(set(made)) == 1 and len(made[0]) == 32
    found = await api.get(SECRETS, NAME, scope.installation)
    assert base64.b64decode(found["data"]["root"]) == made[0] and found["immutable"]


async def test_it_is_made_where_channels_have_only_been_declared(
    control_plane: ControlPlane, api: Client, scope: Scope, keynote: Channel
) -> None:
    keynote.declare()
    assert await root_secret.root_secret(api, scope, NAME)


async def test_one_that_is_missing_or_of_no_use_is_told_and_waited_for(
    control_plane: ControlPlane, api: Client, scope: Scope, keynote: Channel
) -> None:
    stored = keynote.declare()
    status = {"playback": [{"name": "main", "id": "keynote-2026"}], "phase": "Idle"}
    control_plane.api.ask("PUT", f"{keynote.path}/status", {**stored, "status": status})
    waiting = asyncio.create_task(root_secret.root_secret(api, scope, NAME))
    await condition(keynote, "RootSecretMissing")
    path = path_of("secrets", keynote.namespace, NAME)
    for data in ({}, {"other": "eA=="}, {"root": base64.b64encode(bytes(31)).decode()}):
        bring(control_plane, keynote.namespace, **data)
        await condition(keynote, "RootSecretUnusable")
        control_plane.api.ask("DELETE", path)
        await condition(keynote, "RootSecretMissing")
    root = bytes(range(32))
    bring(control_plane, keynote.namespace, root=base64.b64encode(root).decode())
    assert await waiting == root
    assert keynote.status["playback"] == status["playback"], "nothing else is touched"


async def test_an_api_server_in_trouble_is_waited_for_and_a_refusal_is_not(
    control_plane: ControlPlane, api: Client, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    get = Client.get

    async def troubled(self: Client, *args: object) -> object:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Unavailable(503, "ServiceUnavailable", "etcd", {}, None)
        return await get(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Client, "get", troubled)
    assert await root_secret.root_secret(api, scope, NAME) and tries >= 4
    granted = control_plane.access("nobody", scope.installation)
    async with Client(Kubeconfig((granted.kubeconfig,))) as client:
        with pytest.raises(Forbidden):
            await root_secret.root_secret(client, scope, "another")
