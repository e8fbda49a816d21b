"""The event log as an outbox: cursors, trimming, expiry, bounds; and delivery simulated with crashes."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from onair_core.contract import EventType
from onair_operator.eventlog import Attempt, EventLog, Limits, ObjectRef, Snapshot, Subject, append_own, new_log, outbox
from onair_operator.webhooks.attempt import (
    Again,
    Delivered,
    GivenUp,
    Nothing,
    Verdict,
    Work,
    judge,
    next_work,
    record,
)
from onair_operator.webhooks.endpoint import Endpoint
from onair_operator.webhooks.outbound import Outcome
from onair_operator.webhooks.schedule import Schedule

UID = "0b7c6a3e-5a55-4c0e-8f0e-2b1d7a1f9a10"
SUBJECT = Subject("LiveStream", "events", "keynote", UID)
FAILED = Attempt(number=1, at=10.0, status=500, problem="the answer was 500")
FAILING: dict[str, Any] = {"failing_since": 10.0, "revision": "1"}
HOOK = Endpoint(
    uid="hook", revision="1", namespace="events", name="hook", url="http://x.test", secrets=(b"s",), created_at=0.0
)


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
    log = outbox.failed(log, "hook", FAILED, next_at=15.0, **FAILING)
    skipped = outbox.done(log, "hook", 1, delivered=False).cursors["hook"]
    assert (skipped.failures, skipped.next_at, skipped.attempts) == (1, 15.0, ())
    delivered = outbox.done(log, "hook", 1, delivered=True).cursors["hook"]
    assert (delivered.failures, delivered.next_at, delivered.failing_since) == (0, None, None)


def test_only_the_newest_tries_are_kept_with_their_answers() -> None:
    log = outbox.with_endpoint(log_of(1), "hook", 0.0)
    for n in range(1, 31):
        log = outbox.failed(log, "hook", Attempt(number=n, at=float(n)), next_at=n + 5.0, **FAILING)
    cursor = log.cursors["hook"]
    assert (cursor.tries, cursor.failing_since) == (30, 10.0)
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
    log = outbox.expire(log, "hook", "my-hook", log.entries[:1], FAILED, next_at=20.0, **FAILING)
    warning = log.entries[-1]
    assert warning.type is EventType.STREAM_WARNING
    assert warning.data["warning"]["type"] == outbox.EXPIRED
    assert log.entries[0].id in warning.data["warning"]["message"]
    assert "my-hook" in warning.data["warning"]["message"]
    assert (log.cursors["hook"].done, log.cursors["hook"].next_at) == (1, 20.0)


def test_losing_a_warning_about_webhooks_does_not_make_another_for_ever() -> None:
    log = outbox.with_endpoint(log_of(1), "hook", 0.0)
    log = outbox.expire(log, "hook", "hook", log.entries[:1], FAILED, next_at=20.0, **FAILING)
    count = len(log.entries)
    assert len(outbox.expire(log, "hook", "hook", log.entries[-1:], FAILED, next_at=30.0, **FAILING).entries) == count


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


@settings(deadline=None)
@given(
    answers=st.lists(st.sampled_from(["ok", "fail", "crash-before-saving", "late"]), max_size=60),
    wanted=st.sampled_from([(), ("video.live_stream.updated",), ("*.updated",)]),
)
def test_whatever_fails_delivery_is_in_order_and_without_unannounced_gaps(
    answers: list[str], wanted: tuple[str, ...]
) -> None:
    schedule = Schedule(first=1.0, longest=60.0, time_to_live=100.0)
    endpoint = Endpoint(
        uid="hook",
        revision="1",
        namespace="events",
        name="h",
        url="http://x.test",
        secrets=(b"s",),
        created_at=0.0,
        events=wanted,
    )
    log = outbox.with_endpoint(log_of(6), "hook", 0.0)
    receiver, now, given_up = Receiver(), 10.0, set[int]()
    for answer in [*answers, *["ok"] * 20]:
        work = next_work(log, endpoint)
        if isinstance(work, Nothing):
            break
        now = max(now, work.due) + (50.0 if answer == "late" else 0.0)
        ok = answer in ("ok", "crash-before-saving")
        if ok:
            receiver.seen.append(work.entry.seq)
        if answer == "crash-before-saving":
            continue
        outcome = Outcome(status=204) if ok else Outcome(status=500, problem="the answer was 500")
        verdict = judge(work, outcome, at=now, schedule=schedule, random=0.5)
        if isinstance(verdict, GivenUp):
            given_up |= {entry.seq for entry in verdict.entries}
        log = record(log, endpoint, work.entry, verdict)
        assert record(log, endpoint, work.entry, Delivered()) == log or not ok

    assert isinstance(next_work(log, endpoint), Nothing)
    assert receiver.seen == sorted(receiver.seen)  # repeats may follow each other, nothing ever goes back
    wants = {e.seq for e in log.entries if endpoint.wants(e.type.value, {})}
    assert set(receiver.seen) | given_up == wants
    assert not set(receiver.seen) & given_up or "crash-before-saving" in answers
    warnings = [e.data["warning"]["message"] for e in log.entries if e.reason == outbox.EXPIRED]
    assert bool(warnings) == any(seq <= 6 for seq in given_up)
    for entry in log.entries:
        named = any(entry.id in message for message in warnings)
        between = any(message[0].isdigit() for message in warnings)
        assert named or between or entry.seq > 6 or entry.seq not in given_up


def tried(log: EventLog, at: float, outcome: Outcome, schedule: Schedule) -> tuple[EventLog, Verdict]:
    """The log after a try of what is next."""
    work = next_work(log, HOOK)
    assert isinstance(work, Work)
    verdict = judge(work, outcome, at=at, schedule=schedule, random=0.5)
    return record(log, HOOK, work.entry, verdict), verdict


REFUSED = Outcome(status=500, problem="the answer was 500")


def test_fifty_events_behind_a_dead_endpoint_are_given_up_together_after_24_hours() -> None:
    schedule = Schedule()
    log = outbox.with_endpoint(log_of(50), "hook", 0.0)
    now, given_up = 100.0, list[tuple[float, int]]()
    while isinstance(work := next_work(log, HOOK), Work) and work.entry.seq <= 50:
        now = max(now, work.due)
        log, verdict = tried(log, now, REFUSED, schedule)
        if isinstance(verdict, GivenUp):
            given_up.append((now, len(verdict.entries)))
    # The first goes alone, as it may have been the trouble itself; the next proves that it was not.
    assert given_up == [(100.0 + 86400, 1), (100.0 + 86400, 49)]
    warnings = [entry.data["warning"]["message"] for entry in log.entries if entry.reason == outbox.EXPIRED]
    assert [message.split(" ")[0] for message in warnings] == ["video.live_stream.updated", "49"]
    assert all(log.entries[n].id in warnings[1] for n in (1, 49))


@settings(deadline=None)
@given(st.lists(st.integers(0, 86400), min_size=1, max_size=30), st.floats(0, 1, exclude_max=True))
def test_no_event_is_given_up_before_24_hours_or_long_after(recorded: list[int], random: float) -> None:
    schedule = Schedule()
    log = new_log(SUBJECT)
    for n, at in enumerate(sorted(recorded)):
        log = said(log, n, at=at)
    log = outbox.with_endpoint(log, "hook", 0.0)
    began = now = float(min(recorded))
    while isinstance(work := next_work(log, HOOK), Work) and work.entry.reason == "":
        now = max(now, work.due, work.entry.recorded_at)
        verdict = judge(work, REFUSED, at=now, schedule=schedule, random=random)
        if isinstance(verdict, GivenUp):
            for entry in verdict.entries:
                assert 86400 <= now - max(entry.recorded_at, began) <= 86400 + 1.1 * 3600
        log = record(log, HOOK, work.entry, verdict)


def test_an_event_that_the_receiver_cannot_take_does_not_take_others_with_it() -> None:
    schedule = Schedule(time_to_live=100.0)
    log = outbox.with_endpoint(log_of(3), "hook", 0.0)
    log, _ = tried(log, 5.0, REFUSED, schedule)
    log, verdict = tried(log, 105.0, REFUSED, schedule)
    assert isinstance(verdict, GivenUp) and [entry.seq for entry in verdict.entries] == [1]
    assert next_work(log, HOOK) == Work(log.cursors["hook"], log.entries[1:], due=105.0)  # at once
    log, verdict = tried(log, 105.0, Outcome(status=200), schedule)
    assert isinstance(verdict, Delivered)
    assert log.cursors["hook"].done == 2


def test_what_a_process_finds_that_was_off_for_days_is_not_thrown_away() -> None:
    schedule = Schedule()
    log = outbox.with_endpoint(log_of(3), "hook", 0.0)
    log, _ = tried(log, 5.0, REFUSED, schedule)
    back = 5.0 + 3 * 86400
    log, verdict = tried(log, back, REFUSED, schedule)
    assert isinstance(verdict, Again)
    now = back
    while log.cursors["hook"].done < 1:
        now = log.cursors["hook"].next_at or now
        log, verdict = tried(log, now, REFUSED, schedule)
    assert now == back + 86400


def test_a_changed_endpoint_is_tried_at_once_and_the_same_one_is_not() -> None:
    log, _ = tried(outbox.with_endpoint(log_of(1), "hook", 0.0), 5.0, REFUSED, Schedule())
    assert outbox.retry_when_changed(log, "hook", HOOK.revision) is log
    cursor = outbox.retry_when_changed(log, "hook", "2").cursors["hook"]
    assert (cursor.next_at, cursor.failing_since, cursor.failures) == (None, None, 0)
    assert len(cursor.attempts) == 1  # they are shown all the same


def test_earlier_tries_at_a_hundred_dead_endpoints_fit_into_an_object() -> None:
    attempt = Attempt(
        number=1,
        at=1.0,
        status=500,
        body="\N{REPLACEMENT CHARACTER}" * 512,
        headers={str(n): "x" * 200 for n in range(6)},
    )
    log = log_of(1)
    for n in range(100):
        log = outbox.with_endpoint(log, f"endpoint-{n}", 0.0)
        for _ in range(outbox.ATTEMPTS_KEPT):
            log = outbox.failed(log, f"endpoint-{n}", attempt, next_at=20.0, **FAILING)
    assert len(msgspec.json.encode(log)) > 1024 * 1024
    log, lost = outbox.bounded(log, Limits(), at=50.0)
    assert lost == 0
    assert len(msgspec.json.encode(log)) < 400 * 1024
    assert all(cursor.tries == outbox.ATTEMPTS_KEPT for cursor in log.cursors.values())


def test_few_dead_endpoints_keep_all_their_newest_tries() -> None:
    log = outbox.with_endpoint(log_of(1), "hook", 0.0)
    for _ in range(30):
        log = outbox.failed(log, "hook", FAILED, next_at=20.0, **FAILING)
    assert len(outbox.bounded(log, Limits(), at=50.0)[0].cursors["hook"].attempts) == outbox.ATTEMPTS_KEPT
