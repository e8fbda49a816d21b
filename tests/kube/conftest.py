"""A client and the API server that it speaks to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from api_server import ApiServer, serving

from onair_core.backoff import Backoff
from onair_core.kube.client import Call, Client, Patience


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
