"""The work queue's rules, as tables and as a machine that does anything in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from onair_core.backoff import Backoff
from onair_operator.schedule import Schedule

BACKOFF = Backoff(1.0, 8.0)


def test_a_key_waits_once_and_the_earliest_time_counts() -> None:
    schedule: Schedule[str] = Schedule()
    for due in (5.0, 2.0, 9.0):
        schedule.add("a", due)
    assert schedule.next_due() == 2.0 and schedule.take(1.9) is None
    assert schedule.take(3.0) == ("a", 1.0) and schedule.take(10.0) is None


def test_what_is_added_while_it_runs_runs_again_and_not_at_the_same_time() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 0.0)
    schedule.take(0.0)
    schedule.add("a", 1.0)
    assert schedule.take(2.0) is None and schedule.next_due() is None
    schedule.done("a", 3.0, again_after=60.0)
    assert schedule.take(3.0) == ("a", 2.0)


def test_failures_double_up_to_the_limit_and_success_forgets_them() -> None:
    schedule: Schedule[str] = Schedule(BACKOFF)
    schedule.add("a", 0.0)
    delays = []
    now = 0.0
    for _ in range(5):
        schedule.take(now)
        delays.append(schedule.failed("a", now, random=0.0))
        now += delays[-1]
    assert delays == [1.0, 2.0, 4.0, 8.0, 8.0]
    schedule.take(now)
    schedule.done("a", now)
    schedule.add("a", now)
    schedule.take(now)
    assert schedule.failed("a", now, random=0.0) == 1.0


def test_the_api_servers_retry_after_counts_when_it_is_longer() -> None:
    schedule: Schedule[str] = Schedule(BACKOFF)
    schedule.add("a", 0.0)
    schedule.take(0.0)
    assert schedule.failed("a", 0.0, random=0.0, at_least=30.0) == 30.0 == schedule.next_due()


def test_an_edit_brings_a_failing_key_forward_without_forgetting_its_failures() -> None:
    schedule: Schedule[str] = Schedule(BACKOFF)
    schedule.add("a", 0.0)
    schedule.take(0.0)
    schedule.failed("a", 0.0, random=0.0)
    schedule.add("a", 0.5)
    assert schedule.take(0.5) == ("a", 0.0)
    assert schedule.failed("a", 0.5, random=0.0) == 2.0


def test_memory_does_not_grow_with_the_number_of_adds() -> None:
    schedule: Schedule[str] = Schedule()
    for step in range(10_000):
        schedule.add("a", 10_000.0 - step)
    assert len(schedule._order) < 100


KEYS = st.sampled_from("abc")
SECONDS = st.floats(0, 20)


class AnyOrder(RuleBasedStateMachine):
    """Keeps its own account of what each key is owed: the latest `add` always leads to a run after it."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule: Schedule[str] = Schedule(BACKOFF)
        self.now = 0.0
        self.running: set[str] = set()
        self.owed: dict[str, float] = {}

    def owe(self, key: str, due: float) -> None:
        self.owed[key] = min(self.owed.get(key, due), due)

    @rule(key=KEYS, after=SECONDS)
    def add(self, key: str, after: float) -> None:
        self.schedule.add(key, self.now + after)
        self.owe(key, self.now + after)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        could = {key for key, due in self.owed.items() if due <= self.now and key not in self.running}
        taken = self.schedule.take(self.now)
        assert (taken is None) == (not could)
        if taken:
            key, waited = taken
            due = self.owed.pop(key)
            assert key in could and waited == self.now - due
            assert all(self.owed[other] >= due for other in could - {key}), "the oldest comes first"
            self.running.add(key)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), again=st.none() | SECONDS)
    def succeed(self, data: st.DataObject, again: float | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(key)
        self.schedule.done(key, self.now, again)
        if again is not None:
            self.owe(key, self.now + again)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), random=st.floats(0, 1, exclude_max=True))
    def fail(self, data: st.DataObject, random: float) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(key)
        delay = self.schedule.failed(key, self.now, random)
        assert 0.5 <= delay <= 8.0
        self.owe(key, self.now + delay)

    @invariant()
    def agrees(self) -> None:
        waiting = {key: due for key, due in self.owed.items() if key not in self.running}
        assert self.schedule.next_due() == min(waiting.values(), default=None)
        assert self.schedule.depth(self.now) == sum(due <= self.now for due in waiting.values())
        assert set(self.schedule.running(self.now)) == self.running


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=60)
