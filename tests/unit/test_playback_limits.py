"""Who counts as one address, and how many are let in."""

from __future__ import annotations

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.playback.limits import Crowd, Limits, answer_seconds, limits_of_process, neighbourhood


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) is same


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_never_more_than_allowed_and_nobody_is_forgotten(story: list[tuple[str, bool]]) -> None:
    crowd, inside = Crowd(Limits(connections=7, per_address=4)), dict.fromkeys("abc", 0)
    for address, comes in story:
        if comes:
            room = sum(inside.values()) < 7 and inside[address] < 4
            full = crowd.enter(address)
            assert full == (None if room else "connections" if sum(inside.values()) == 7 else "per_address")
            inside[address] += room
        elif inside[address]:
            crowd.leave(address)
            inside[address] -= 1


def test_viewers_leave_files_for_everybody_else() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = limits_of_process()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert hard == before[1]
    assert limits.per_address < limits.connections < soft or soft == resource.RLIM_INFINITY


def test_the_more_there_is_to_send_the_longer_it_may_take() -> None:
    assert answer_seconds(0) < answer_seconds(1_000_000) < answer_seconds(50_000_000)
    assert 50_000_000 / answer_seconds(50_000_000) > 25_000, "and yet it is bounded: bytes a second"
