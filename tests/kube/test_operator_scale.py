"""The operator process and a thousand LiveStreams at once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from operator_process import Operator

from kubelab.nodeless import ControlPlane
from onair_core.kube.client import Client, Selection
from onair_core.kube.resources import LIVE_STREAMS, PODS, SECRETS, SERVICES

pytestmark = pytest.mark.timeout(300)
MANY = 1000
# Stream key and settings, Service, NetworkPolicy, Pod, and what came of it.
WRITES = 6


async def test_a_thousand_livestreams_become_provisioned(
    control_plane: ControlPlane, running: Operator, api: Client, namespace: str
) -> None:
    """There are no nodes: no pod becomes ready."""
    crowd = asyncio.Semaphore(16)

    async def declare(number: int) -> None:
        name = f"s{number}"
        body = {
            "apiVersion": LIVE_STREAMS.api_version,
            "kind": LIVE_STREAMS.kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"title": name, "playback": [{"policy": "public"}]},
        }
        async with crowd:
            await api.create(LIVE_STREAMS, body, manager="test")

    await asyncio.gather(*map(declare, range(MANY)))

    def all_told() -> bool:
        return running.metric("onair_operator_live_streams", ready="False") == MANY

    await asyncio.to_thread(running.until, "all are provisioned", all_told, 200)
    await asyncio.to_thread(running.rests)
    for resource, expected in ((PODS, MANY), (SERVICES, MANY), (SECRETS, 2 * MANY)):
        there = await api.list_all(Selection(resource, namespace, labels="app.kubernetes.io/managed-by=onair"))
        assert len(there.items) == expected, resource
    writes = running.writes(namespace)
    assert [write for write, count in Counter(writes).items() if count > 1 or write[-1] >= 300] == []
    assert len(writes) == WRITES * MANY
    assert not running.metric("workqueue_retries_total"), "nothing had to be tried again"

    assert running.stop() == 0
    running.start()
    await asyncio.to_thread(running.leads)
    await asyncio.to_thread(running.until, "it has looked at all of them", lambda: running.reconciles() >= MANY, 60)
    await asyncio.to_thread(running.rests)
    assert len(running.writes(namespace)) == len(writes)
    assert running.metric("process_resident_memory_bytes") < 250e6
