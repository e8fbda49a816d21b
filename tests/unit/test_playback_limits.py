"""How many are let in, and from where."""

from __future__ import annotations

import resource

from onair_media.origins import origin_of
from onair_media.playback.limits import Crowd, Limits, answer_seconds, limits_of_process

HOME, PROXY = origin_of("2001:db8:1:2::1"), origin_of("192.0.2.1")
NEXT_DOOR = origin_of("2001:db8:1:3::1")


def test_never_more_than_allowed_in_all_from_an_address_and_from_a_site() -> None:
    crowd = Crowd(Limits(connections=9, per_address=4, site_factor=1))
    assert [crowd.enter(HOME) for _ in range(3)] == [None] * 3
    assert [crowd.enter(NEXT_DOOR) for _ in range(2)] == [None, "per_site"], "a /48 is no crowd"
    assert [crowd.enter(PROXY) for _ in range(5)] == [None] * 4 + ["per_address"]
    others = [origin_of(f"198.51.100.{n}") for n in range(2)]
    assert [crowd.enter(other) for other in others] == [None, "connections"]
    crowd.leave(HOME)
    assert crowd.enter(NEXT_DOOR) is None, "there is room again"
    assert crowd.enter(HOME) == "connections"


def test_a_class_may_give_a_site_more_than_an_address() -> None:
    crowd = Crowd(Limits(connections=9, per_address=2, site_factor=2))
    assert [crowd.enter(HOME) for _ in range(3)] == [None, None, "per_address"]
    assert [crowd.enter(NEXT_DOOR) for _ in range(3)] == [None, None, "per_address"]
    assert crowd.enter(origin_of("2001:db8:1:4::1")) == "per_site"


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
