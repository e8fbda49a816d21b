"""How many channels of a class may be down at a time while a change reaches them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from onair_core.kube.store import Key
from onair_operator.rollout import Rollout


def key(number: int) -> Key:
    return Key("events", f"s{number}")


class Fleet:
    """`count` channels of one class with a Ready pod each. `replace(k)`: as the reconcile of one with an outdated pod."""

    def __init__(self, count: int, percent: int = 25) -> None:
        self.woken: list[Key] = []
        self.percent = percent
        self.rollout = Rollout(self.woken.append)
        self.down: set[int] = set()
        for number in range(count):
            self.fares(number)

    def fares(self, number: int, *, down: bool = False, waits: bool = False) -> None:
        self.rollout.note(key(number), "standard", self.percent, down=down, waits=waits)

    def replace(self, number: int) -> bool:
        turn = self.rollout.has_turn(key(number), "standard", self.percent)
        self.fares(number, down=turn, waits=not turn)
        if turn:
            self.down.add(number)
        return turn

    def becomes_ready(self, number: int) -> None:
        self.down.discard(number)
        self.fares(number)


def test_so_many_percent_of_a_class_may_be_down_and_the_rest_waits() -> None:
    fleet = Fleet(12)
    assert [fleet.replace(number) for number in range(5)] == [True, True, True, False, False]
    assert not fleet.woken

    fleet.becomes_ready(1)
    assert fleet.woken == [key(3)] and fleet.replace(3)
    assert not fleet.replace(4)


def test_of_a_few_one_at_a_time_and_whoever_has_begun_goes_on() -> None:
    fleet = Fleet(2)
    assert fleet.replace(0) and not fleet.replace(1)
    assert fleet.replace(0), "it drains: asked again it still has its turn"


def test_what_is_down_already_counts() -> None:
    fleet = Fleet(4)
    fleet.fares(0, down=True)
    assert not fleet.replace(1)
    fleet.becomes_ready(0)
    assert fleet.woken == [key(1)] and fleet.replace(1)


def test_classes_do_not_wait_for_each_other() -> None:
    fleet = Fleet(4)
    assert fleet.replace(0)
    fleet.rollout.note(key(9), "another", 25, down=False, waits=False)
    assert fleet.rollout.has_turn(key(9), "another", 25)


def test_a_channel_that_is_deleted_or_gets_another_class_gives_its_turn_away() -> None:
    fleet = Fleet(9)
    assert [fleet.replace(number) for number in range(4)] == [True, True, False, False]
    fleet.rollout.forget(key(0))
    assert fleet.woken == [key(2)] and fleet.rollout.has_turn(key(2), "standard", 25)
    fleet.rollout.note(key(1), "another", 25, down=True, waits=False)
    assert fleet.woken == [key(2), key(2)]


def test_one_that_went_live_while_it_waited_lets_the_next_one_go() -> None:
    fleet = Fleet(3)
    assert fleet.replace(0) and not fleet.replace(1) and not fleet.replace(2)
    fleet.becomes_ready(0)
    assert fleet.woken == [key(1)]
    fleet.fares(1)  # its reconcile finds a broadcast: the pod stays
    assert fleet.woken == [key(1), key(2)] and fleet.replace(2)


@given(st.integers(1, 40), st.integers(1, 100), st.randoms(use_true_random=False))
def test_all_get_their_turn_and_never_too_many_at_once(count: int, percent: int, random: object) -> None:
    fleet = Fleet(count, percent)
    outdated, limit = set(range(count)), max(count * percent // 100, 1)
    work = sorted(outdated)
    while outdated:
        for number in work:
            if number in outdated and number not in fleet.down:
                fleet.replace(number)
        assert 0 < len(fleet.down) <= limit
        ready = random.choice(sorted(fleet.down))  # type: ignore[attr-defined]
        outdated.discard(ready)
        fleet.woken.clear()
        fleet.becomes_ready(ready)
        # Those that are woken are all that are worked on: nobody may be forgotten.
        work = [int(woken.name[1:]) for woken in fleet.woken]
        assert work or fleet.down or not outdated
