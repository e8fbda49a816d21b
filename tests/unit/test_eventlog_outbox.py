"""The event log as an outbox: cursors, trimming, expiry, bounds; and delivery simulated with crashes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from onair_core.contract import EventType
from onair_operator.eventlog import Attempt, EventLog, Limits, ObjectRef, Snapshot, Subject, append_own, new_log, outbox
from onair_operator.webhooks.attempt import Delivered, GivenUp, Nothing, judge, next_work, record
from onair_operator.webhooks.endpoint import Endpoint
from onair_operator.webhooks.outbound import Outcome
from onair_operator.webhooks.schedule import Schedule

UID = "0b7c6a3e-5a55-4c0e-8f0e-2b1d7a1f9a10"
SUBJECT = Subject("LiveStream", "events", "keynote", UID)
FAILED = Attempt(number=1, at=10.0, status=500, problem="the answer was 500")
HOOK = Endpoint(uid="hook", namespace="events", name="hook", url="http://x.test", secrets=(b"s",), created_at=0.0)


def log_of(count: int, *, at: float = 1.0, big: int = 0) -> EventLog:
    log = new_log(SUBJECT)
    for n in range(1, count + 1):
        log = said(log, n, at=at * n, big=big)
    return log


def said(log: EventLog, n: int, *, at: float = 1.0, big: int = 0) -> EventLog:
    snapshot = Snapshot(ObjectRef("live", UID), {"id": UID, "padding": "x" * big})
    return append_own(log, EventType.STREAM_UPDATED, f"generation-{n}", snapshot, at=at)


def numbers(log: EventLog) -> list[int]:
    return [entry.seq for entry in log.entries]


def test_a_new_endpoint_begins_with_the_events_after_its_creation() -> None:
    log = outbox.with_endpoint(log_of(5), "new", created_at=3.5)
    assert [entry.seq for entry in outbox.after(log, log.cursors["new"].done)] == [4, 5]


def test_an_endpoint_newer_than_all_events_gets_none_of_them() -> None:
    log = outbox.with_endpoint(log_of(5), "new", created_at=99.0)
    assert log.cursors["new"].done == 5


def test_a_cursor_is_not_moved_by_registering_again() -> None:
    log = outbox.with_endpoint(log_of(5), "hook", created_at=0.0)
    log = outbox.done(log, "hook", 3, delivered=True)
    assert outbox.with_endpoint(log, "hook", created_at=0.0) is log


def test_a_removed_endpoints_cursor_is_dropped() -> None:
    log = outbox.with_endpoint(outbox.with_endpoint(log_of(2), "a", 0.0), "b", 0.0)
    assert set(outbox.only_endpoints(log, {"b"}).cursors) == {"b"}


def test_a_cursor_never_moves_back() -> None:
    log = outbox.done(outbox.with_endpoint(log_of(5), "hook", 0.0), "hook", 4, delivered=True)
    assert outbox.done(log, "hook", 2, delivered=True) is log


def test_success_forgets_failures_and_skipping_does_not() -> None:
    log = outbox.with_endpoint(log_of(5), "hook", 0.0)
    log = outbox.failed(log, "hook", FAILED, next_at=15.0)
    skipped = outbox.done(log, "hook", 1, delivered=False).cursors["hook"]
    assert (skipped.failures, skipped.next_at, skipped.attempts) == (1, 15.0, ())
    delivered = outbox.done(log, "hook", 1, delivered=True).cursors["hook"]
    assert (delivered.failures, delivered.next_at, delivered.failing_since) == (0, None, None)


def test_only_the_newest_tries_are_kept_with_their_answers() -> None:
    log = outbox.with_endpoint(log_of(1), "hook", 0.0)
    for n in range(1, 31):
        log = outbox.failed(log, "hook", Attempt(number=n, at=float(n)), next_at=n + 5.0)
    cursor = log.cursors["hook"]
    assert (cursor.tries, cursor.failing_since) == (30, 1.0)
    assert [attempt.number for attempt in cursor.attempts] == list(range(21, 31))


def test_trimming_keeps_what_is_undelivered_and_the_newest_for_people() -> None:
    limits = Limits(kept=3)
    log = outbox.with_endpoint(log_of(10), "hook", 0.0)
    assert numbers(outbox.trim(log, limits)) == list(range(1, 11))
    assert numbers(outbox.trim(outbox.done(log, "hook", 5, delivered=True), limits)) == [6, 7, 8, 9, 10]
    assert numbers(outbox.trim(outbox.done(log, "hook", 10, delivered=True), limits)) == [8, 9, 10]


def test_numbers_go_on_after_trimming() -> None:
    log = outbox.trim(log_of(10), Limits(kept=1))
    assert numbers(said(log, 11)) == [10, 11]


def test_giving_up_leaves_a_warning_that_names_event_and_endpoint_but_not_the_url() -> None:
    log = outbox.with_endpoint(log_of(2), "hook", 0.0)
    log = outbox.expire(log, "hook", "my-hook", log.entries[0], FAILED, next_at=20.0)
    warning = log.entries[-1]
    assert warning.type is EventType.STREAM_WARNING
    assert warning.data["warning"]["type"] == outbox.EXPIRED
    assert log.entries[0].id in warning.data["warning"]["message"]
    assert "my-hook" in warning.data["warning"]["message"]
    assert (log.cursors["hook"].done, log.cursors["hook"].next_at) == (1, 20.0)


def test_losing_a_warning_about_webhooks_does_not_make_another_for_ever() -> None:
    log = outbox.with_endpoint(log_of(1), "hook", 0.0)
    log = outbox.expire(log, "hook", "hook", log.entries[0], FAILED, next_at=20.0)
    count = len(log.entries)
    assert len(outbox.expire(log, "hook", "hook", log.entries[-1], FAILED, next_at=30.0).entries) == count


def test_a_full_log_drops_the_oldest_and_says_so_once() -> None:
    limits = Limits(kept=5, max_entries=20)
    log = outbox.with_endpoint(log_of(21), "hook", 0.0)
    log, lost = outbox.bounded(log, limits, at=50.0)
    assert lost == 6
    assert numbers(log) == [*range(7, 22), 22]
    assert log.entries[-1].data["warning"]["type"] == outbox.OVERFLOWED
    assert log.cursors["hook"].done == 6
    assert outbox.bounded(log, limits, at=51.0) == (log, 0)


def test_a_full_log_that_nobody_waits_for_drops_without_a_warning() -> None:
    log, lost = outbox.bounded(log_of(21), Limits(kept=5, max_entries=20), at=50.0)
    assert lost == 0
    assert numbers(log) == list(range(7, 22))


def test_a_log_is_bounded_in_bytes() -> None:
    log, _ = outbox.bounded(log_of(20, big=10_000), Limits(max_bytes=100_000), at=50.0)
    assert len(log.entries) < 10


class Receiver:
    """What one endpoint saw of one subject: the numbers it answered with 2xx, in order."""

    def __init__(self) -> None:
        self.seen: list[int] = []


@given(
    answers=st.lists(st.sampled_from(["ok", "fail", "crash-before-saving", "late"]), max_size=60),
    wanted=st.sampled_from([(), ("video.live_stream.updated",), ("*.updated",)]),
)
def test_whatever_fails_delivery_is_in_order_and_without_unannounced_gaps(
    answers: list[str], wanted: tuple[str, ...]
) -> None:
    schedule = Schedule(first=1.0, longest=10.0, time_to_live=100.0)
    endpoint = Endpoint(
        uid="hook", namespace="events", name="h", url="http://x.test", secrets=(b"s",), created_at=0.0, events=wanted
    )
    log = outbox.with_endpoint(log_of(6), "hook", 0.0)
    receiver, now, given_up = Receiver(), 10.0, set[int]()
    for answer in [*answers, *["ok"] * 20]:
        work = next_work(log, endpoint)
        if isinstance(work, Nothing):
            break
        now = max(now, work.due) + (1000.0 if answer == "late" else 0.0)
        ok = answer in ("ok", "crash-before-saving")
        if ok:
            receiver.seen.append(work.entry.seq)
        if answer == "crash-before-saving":
            continue
        outcome = Outcome(status=204) if ok else Outcome(status=500, problem="the answer was 500")
        verdict = judge(work, outcome, at=now, schedule=schedule, random=0.5)
        if isinstance(verdict, GivenUp):
            given_up.add(work.entry.seq)
        log = record(log, endpoint, work.entry, verdict)
        assert record(log, endpoint, work.entry, Delivered()) == log or not ok

    assert isinstance(next_work(log, endpoint), Nothing)
    assert receiver.seen == sorted(receiver.seen)  # repeats may follow each other, nothing ever goes back
    wants = {e.seq for e in log.entries if endpoint.wants(e.type.value, {})}
    assert set(receiver.seen) | given_up == wants
    assert not set(receiver.seen) & given_up or "crash-before-saving" in answers
    warned = {e.source for e in log.entries if e.reason == outbox.EXPIRED}
    assert {f"own/warning/expired/hook/{seq}" for seq in given_up} >= warned
    assert {f"own/warning/expired/hook/{seq}" for seq in given_up if seq <= 6} <= warned


def test_entries_behind_a_dead_one_get_a_try_of_their_own_before_they_are_given_up() -> None:
    schedule = Schedule(time_to_live=100.0)
    log = outbox.with_endpoint(log_of(2), "hook", 0.0)
    failure = Outcome(status=500, problem="the answer was 500")
    work = next_work(log, HOOK)
    assert not isinstance(work, Nothing)
    log = record(log, HOOK, work.entry, judge(work, failure, at=5.0, schedule=schedule, random=0.5))
    work = next_work(log, HOOK)
    assert not isinstance(work, Nothing)
    log = record(log, HOOK, work.entry, judge(work, failure, at=106.0, schedule=schedule, random=0.5))
    work = next_work(log, HOOK)
    assert not isinstance(work, Nothing)
    assert work.entry.seq == 2
    assert work.due > 106.0  # the endpoint's backoff goes on
    assert isinstance(judge(work, Outcome(status=200), at=work.due, schedule=schedule, random=0.5), Delivered)
