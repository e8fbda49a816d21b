"""A client and the API server that it speaks to: one that does what a test tells it, and a real one.

Where the real one cannot be had its tests skip and say why; with ONAIR_REQUIRE_CLUSTER=1 (CI) they fail instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from api_server import ApiServer, serving
from operator_fixtures import account, keynote, operator, replicas, running

from control_plane_fixtures import (
    api,
    control_plane,
    controllers,
    crds,
    kubectl,
    namespace,
    nodes,
    scheduler,
    shared_control_plane,
)
from onair_core.backoff import Backoff
from onair_core.kube.client import Call, Client, Patience

__all__ = [
    "account",
    "api",
    "control_plane",
    "controllers",
    "crds",
    "keynote",
    "kubectl",
    "namespace",
    "nodes",
    "operator",
    "replicas",
    "running",
    "scheduler",
    "shared_control_plane",
]


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving() as found:
        yield found


@pytest.fixture
def slept() -> list[float]:
    """How long the client has waited before trying again; it does not wait in fact."""
    return []


@pytest.fixture
def calls() -> list[Call]:
    return []


@pytest.fixture
async def client(server: ApiServer, slept: list[float], calls: list[Call]) -> AsyncIterator[Client]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    patience = Patience(silence=0.5, backoff=Backoff(1.0, 4.0), tries=3)
    async with Client(server, patience=patience, observe=calls.append, sleep=sleep, chance=lambda: 0.0) as found:
        yield found
