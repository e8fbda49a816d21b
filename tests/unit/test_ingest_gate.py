"""How many may come from one address and in all, and who is cut when memory runs short."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from onair_media.ingest.gate import AdmissionLimits, Gate, Ticket, address_group


@dataclass
class Clock:
    now: float = 600.0

    def __call__(self) -> float:
        return self.now


def enter(gate: Gate, host: str = "192.0.2.1") -> Ticket:
    ticket = gate.enter(host)
    assert ticket is not None, gate.rejected
    return ticket


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("a socket", "a socket"),
    ],
)
def test_an_address_of_ipv6_is_its_network(host: str, group: str) -> None:
    assert address_group(host) == group


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
