"""How many may come from one address and in all, and who is cut when memory runs short."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from onair_media.ingest.arrivals import Arrivals
from onair_media.ingest.gate import AdmissionLimits, Gate, Ticket
from onair_media.origins import Origin, origin_of
from onair_media.rtmp.rate import Rate


@dataclass
class Clock:
    now: float = 600.0

    def __call__(self) -> float:
        return self.now


def enter(gate: Gate, host: str = "192.0.2.1") -> Ticket:
    ticket = gate.enter(host)
    assert ticket is not None, gate.rejected
    return ticket


@pytest.mark.parametrize("reason", ["connections", "waiting"])
def test_all_together_are_limited(reason: str) -> None:
    gate = Gate(AdmissionLimits(**{reason: 3}))
    tickets = [enter(gate, f"192.0.2.{n}") for n in range(3)]
    assert gate.enter("192.0.2.9") is None
    tickets[0].close()
    enter(gate, "192.0.2.9")
    assert gate.enter("192.0.2.10") is None
    assert gate.rejected == {reason: 2}


@pytest.mark.parametrize("reason", ["connections_per_address", "waiting_per_address"])
def test_one_address_is_limited_and_leaves_the_others_alone(reason: str) -> None:
    gate = Gate(AdmissionLimits(**{reason: 2}))
    tickets = [enter(gate, f"2001:db8::{n}") for n in range(2)]
    assert gate.enter("2001:db8::ffff") is None
    enter(gate, "2001:db8:0:1::1")
    tickets[1].close()
    enter(gate, "2001:db8::3")
    assert gate.rejected == {reason: 1}


@pytest.mark.parametrize("limit", ["connections", "waiting", "failed_keys_per_minute", "connections_per_second"])
def test_a_site_of_ipv6_is_no_crowd(limit: str) -> None:
    """Who has a /56 has 256 addresses, as they are counted."""
    gate = Gate(
        AdmissionLimits(**{f"{limit}_per_address": 2}, site_factor=3, arrival_burst_seconds=1.0),
        Clock(),
    )
    for n in range(6):
        ticket = enter(gate, f"2001:db8:0:{n:x}::1")
        if limit == "failed_keys_per_minute":
            ticket.key_failed()
    assert gate.enter("2001:db8:0:ffff::1") is None
    assert gate.rejected[f"{limit}_per_site"] == 1
    enter(gate, "2001:db8:1::1")
    enter(gate, "192.0.2.1")


def test_so_many_connections_may_come_in_a_second_and_some_more_at_once() -> None:
    clock = Clock()
    gate = Gate(AdmissionLimits(connections_per_second_per_address=10, arrival_burst_seconds=2.0), clock)
    for _ in range(20):
        enter(gate).close()
    assert gate.enter("192.0.2.1") is None
    enter(gate, "192.0.2.2").close()
    clock.now += 0.5
    for _ in range(5):
        enter(gate).close()
    assert gate.enter("192.0.2.1") is None
    assert gate.rejected == {"connections_per_second_per_address": 2}


def test_in_all_so_many_may_come_and_who_was_refused_does_not_count() -> None:
    clock = Clock()
    gate = Gate(AdmissionLimits(connections_per_second=10, arrival_burst_seconds=1.0), clock)
    for n in range(10):
        enter(gate, f"192.0.2.{n}").close()
    for n in range(50):
        assert gate.enter(f"198.51.100.{n}") is None
    clock.now += 1.0
    for n in range(10):
        enter(gate, f"192.0.2.{n}").close()
    assert gate.rejected == {"connections_per_second": 50}


def test_addresses_that_came_once_are_forgotten() -> None:
    arrivals = Arrivals(per_second=1e6, per_address=10.0, burst_seconds=2.0, site_factor=4.0)
    for n in range(10_000):
        assert arrivals.refusal(origin_of(f"2001:db8:{n:x}::1"), n / 100) is None
    assert arrivals.remembered <= 2 * 2 * 400


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 3.0)), max_size=80))
def test_forgetting_lets_nobody_in_too_soon(story: list[tuple[str, float]]) -> None:
    arrivals, now = Arrivals(per_second=1e6, per_address=2.0, burst_seconds=1.5, site_factor=1.0), 0.0
    plain = {name: Rate(2.0, 3.0) for name in "abc"}
    for name, pause in story:
        now += pause
        allowed = plain[name].left(now) >= 1
        assert (arrivals.refusal(Origin(name), now) is None) is allowed
        if allowed:
            plain[name].take()


def test_the_limits_of_an_edit_that_changes_nothing_begin_no_new_second() -> None:
    gate = Gate(AdmissionLimits(connections_per_second=1, arrival_burst_seconds=1.0), Clock())
    enter(gate)
    gate.limits = AdmissionLimits(connections_per_second=1, arrival_burst_seconds=1.0)
    assert gate.enter("192.0.2.1") is None
    gate.limits = AdmissionLimits()
    enter(gate)


def test_who_publishes_does_not_wait_but_is_connected() -> None:
    gate = Gate(AdmissionLimits(waiting_per_address=1, connections_per_address=3))
    tickets = []
    for _ in range(3):
        tickets.append(enter(gate))
        tickets[-1].published()
    assert gate.enter("192.0.2.1") is None and gate.rejected == {"connections_per_address": 1}
    for ticket in tickets:
        ticket.close()
    enter(gate)


def test_memory_of_those_who_wait_is_shared() -> None:
    gate = Gate(AdmissionLimits(waiting_bytes=1000, waiting=10))  # an equal share is 100
    greedy, second, modest, publisher = (enter(gate) for _ in range(4))
    assert greedy.may_hold(600) and second.may_hold(400)
    assert modest.may_hold(100)
    assert not greedy.may_hold(601) and not second.may_hold(300)
    publisher.published()
    assert publisher.may_hold(10**9)
    greedy.close()
    assert second.may_hold(900)
    for ticket in (second, modest, publisher):
        ticket.close()
    assert gate.waiting_bytes == 0


def test_after_some_wrong_keys_an_address_waits_for_the_next_minute() -> None:
    clock = Clock()
    gate = Gate(AdmissionLimits(failed_keys_per_minute_per_address=2), clock)
    for _ in range(2):
        enter(gate, "2001:db8::1").key_failed()
    assert gate.enter("2001:db8::2") is None
    enter(gate, "192.0.2.1")
    clock.now += 59
    assert gate.enter("2001:db8::2") is None
    clock.now += 1
    enter(gate, "2001:db8::2")
    assert gate.rejected == {"unknown_key": 2, "failed_keys_per_minute_per_address": 2}


def test_when_all_together_guess_too_much_one_wrong_key_is_enough() -> None:
    gate = Gate(AdmissionLimits(failed_keys_per_minute=3), Clock())
    for n in range(3):
        enter(gate, f"192.0.2.{n}").key_failed()
    assert gate.enter("192.0.2.1") is None
    enter(gate, "192.0.2.9")
    assert gate.rejected["failed_keys_per_minute"] == 1


def test_refusals_are_one_line_a_second_with_their_count() -> None:
    clock = Clock()
    gate = Gate(AdmissionLimits(waiting=0), clock)
    with capture_logs() as lines:
        for _ in range(100):
            gate.enter("192.0.2.1")
        clock.now += 1
        gate.enter("192.0.2.1")
    assert [line["waiting"] for line in lines] == [1, 100]
