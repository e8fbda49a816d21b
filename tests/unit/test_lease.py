"""Leader election: its decisions, and candidates that share one lease in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from virtual_time import now, virtually

from onair_core.kube.client import Client
from onair_core.kube.errors import Unreachable, api_error
from onair_operator.lease import Election, LeaseLost, Seen, Terms, Turn, decide, held

WALL = datetime(2026, 11, 24, 12, 0, 0, 5, UTC)
THEIRS = {"holderIdentity": "other", "leaseDurationSeconds": 20, "leaseTransitions": 3}


@pytest.mark.parametrize(
    ("spec", "seen_for", "turn"),
    [
        (None, 0, Turn.CREATE),
        ({"holderIdentity": "me", "leaseDurationSeconds": 20}, 0, Turn.RENEW),
        (THEIRS, 19.9, Turn.WAIT),
        (THEIRS, 20, Turn.TAKE),
        (THEIRS | {"holderIdentity": ""}, 0, Turn.TAKE),
        ({}, 0, Turn.TAKE),
    ],
)
def test_whose_turn_it_is(spec: dict[str, Any] | None, seen_for: float, turn: Turn) -> None:
    assert decide(Seen(spec, 100.0), "me", 100.0 + seen_for) is turn


def test_a_lease_counts_from_when_it_was_last_seen_to_change() -> None:
    seen = Seen(THEIRS, 0.0).then(dict(THEIRS), 15.0)
    assert seen.since == 0.0 and seen.then(THEIRS | {"renewTime": "x"}, 16.0).since == 16.0


def test_a_takeover_is_a_transition_and_a_renewal_is_not() -> None:
    taken = held(THEIRS, "me", Terms(), WALL)
    assert taken["leaseTransitions"] == 4 and taken["acquireTime"] == "2026-11-24T12:00:00.000005Z"
    renewed = held(taken, "me", Terms(), WALL.replace(minute=1))
    assert renewed["leaseTransitions"] == 4 and renewed["acquireTime"] == taken["acquireTime"]
    assert renewed["renewTime"] == "2026-11-24T12:01:00.000005Z"
    assert held(None, "me", Terms(), WALL)["leaseTransitions"] == 0


def test_terms_leave_time_for_a_second_try() -> None:
    with pytest.raises(ValueError, match="two tries"):
        Terms(duration=15, renew_every=5, margin=5)


class OneLease:
    """The API server, as far as an election sees it. `down` refuses, `frozen` never answers."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.state = "up"

    async def _reach(self) -> None:
        await asyncio.sleep(0.01)
        if self.state == "frozen":
            await asyncio.sleep(1e6)
        if self.state == "down":
            raise Unreachable("refused")

    async def get(self, resource: object, name: str, namespace: str) -> dict[str, Any]:
        await self._reach()
        if self.lease is None:
            raise api_error(404, {})
        return dict(self.lease)

    async def create(self, resource: object, lease: dict[str, Any], *, manager: str) -> dict[str, Any]:
        await self._reach()
        if self.lease is not None:
            raise api_error(409, {"reason": "AlreadyExists"})
        return self._store(lease)

    async def replace(self, resource: object, lease: dict[str, Any], *, manager: str) -> dict[str, Any]:
        await self._reach()
        if lease["metadata"]["resourceVersion"] != str(self.version):
            raise api_error(409, {"reason": "Conflict"})
        return self._store(lease)

    def _store(self, lease: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = lease | {"metadata": lease["metadata"] | {"resourceVersion": str(self.version)}}
        return dict(self.lease)

    def candidate(self, identity: str) -> Election:
        return Election(
            cast("Client", self), "onair", "operator", identity, wall=lambda: WALL + timedelta(seconds=now())
        )


def test_one_leads_and_a_clean_stop_hands_over_at_the_next_look() -> None:
    async def story() -> None:
        server = OneLease()
        a, b = server.candidate("a"), server.candidate("b")
        first, second = asyncio.create_task(a.run()), asyncio.create_task(b.run())
        await asyncio.sleep(100)
        leader, other = (a, b) if a.leading.is_set() else (b, a)
        assert not other.leading.is_set() and leader.may_write_until > now() + 5
        (first if leader is a else second).cancel()
        await asyncio.sleep(Terms().renew_every + 0.1)
        assert other.leading.is_set() and leader.may_write_until == float("-inf")
        first.cancel()
        second.cancel()

    virtually(story())


@pytest.mark.parametrize("state", ["down", "frozen"])
def test_a_leader_that_cannot_renew_stops_before_another_may_begin(state: str) -> None:
    async def story() -> None:
        server, terms = OneLease(), Terms()
        a = server.candidate("a")
        leading = asyncio.create_task(a.run())
        await asyncio.sleep(50)
        renewed, server.state = a.may_write_until - terms.duration + terms.margin, state
        with pytest.raises(LeaseLost):
            await leading
        assert now() == pytest.approx(renewed + terms.duration - terms.margin)
        assert not a.leading.is_set() and a.may_write_until == float("-inf")
        server.state = "up"
        b = server.candidate("b")
        waiting = asyncio.create_task(b.run())
        await asyncio.sleep(terms.duration - 0.1)  # b counts from when it saw the lease, whoever died when
        assert not b.leading.is_set()
        await asyncio.sleep(terms.renew_every + 1)
        assert b.leading.is_set()
        waiting.cancel()

    virtually(story())


def test_a_short_outage_costs_nothing() -> None:
    async def story() -> None:
        server = OneLease()
        a = server.candidate("a")
        leading = asyncio.create_task(a.run())
        await asyncio.sleep(50)
        server.state = "down"
        await asyncio.sleep(8)
        server.state = "up"
        await asyncio.sleep(50)
        assert a.leading.is_set() and not leading.done() and a.may_write_until > now()
        leading.cancel()

    virtually(story())


def test_a_lease_that_somebody_else_has_got_is_lost() -> None:
    async def story() -> None:
        server = OneLease()
        a = server.candidate("a")
        leading = asyncio.create_task(a.run())
        await asyncio.sleep(50)
        assert server.lease
        server._store(server.lease | {"spec": THEIRS})
        with pytest.raises(LeaseLost):
            await leading

    virtually(story())
