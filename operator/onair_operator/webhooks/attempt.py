"""What to deliver next and what an outcome leads to: pure decisions over a log, an endpoint and the time."""

from __future__ import annotations

from dataclasses import dataclass

from onair_operator.eventlog import Attempt, Cursor, Entry, EventLog, outbox
from onair_operator.webhooks.endpoint import Endpoint
from onair_operator.webhooks.outbound import Outcome
from onair_operator.webhooks.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Work:
    """The next entry to deliver, when it is due (Unix seconds), and how many wait in all."""

    cursor: Cursor
    entry: Entry
    due: float
    pending: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing waits. Entries up to `skip_to` are not wanted; `lag` of them are not behind the cursor yet."""

    skip_to: int
    lag: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver answered 2xx."""


@dataclass(frozen=True, slots=True)
class Again:
    """It failed and is due again at `next_at`."""

    attempt: Attempt
    next_at: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """It failed and its time is over; what follows it is due at `next_at`."""

    attempt: Attempt
    next_at: float


Verdict = Delivered | Again | GivenUp


def next_work(log: EventLog, endpoint: Endpoint) -> Work | Nothing:
    """What this endpoint, which has a cursor in the log, gets next."""
    cursor = log.cursors[endpoint.uid]
    labels = log.subject.labels
    waiting = [e for e in outbox.after(log, cursor.done) if endpoint.wants(e.type.value, labels)]
    if not waiting:
        return Nothing(skip_to=log.last_seq, lag=log.last_seq - cursor.done)
    return Work(cursor, waiting[0], due=cursor.next_at or 0.0, pending=len(waiting))


def judge(work: Work, outcome: Outcome, *, at: float, schedule: Schedule, random: float) -> Verdict:
    """What one try that ended at `at` leads to; `random` in [0, 1) is for the jitter."""
    if outcome.ok:
        return Delivered()
    cursor = work.cursor
    attempt = Attempt(
        number=cursor.tries + 1,
        at=at,
        status=outcome.status,
        body=outcome.excerpt,
        headers=dict(outcome.headers),
        problem=outcome.problem,
    )
    failures = cursor.failures + 1
    failing_since = at if cursor.failing_since is None else cursor.failing_since
    deadline = schedule.deadline(work.entry.recorded_at, failing_since)
    next_at = schedule.next_at(at, failures, deadline, random)
    if next_at is not None:
        return Again(attempt, next_at)
    return GivenUp(attempt, at + schedule.delay(failures, random))


def record(log: EventLog, endpoint: Endpoint, entry: Entry, verdict: Verdict) -> EventLog:
    """The log with what came of the entry; unchanged when it knows already."""
    cursor = log.cursors.get(endpoint.uid)
    if cursor is None or cursor.done >= entry.seq:
        return log
    match verdict:
        case Delivered():
            return outbox.done(log, endpoint.uid, entry.seq, delivered=True)
        case Again(attempt, next_at):
            return outbox.failed(log, endpoint.uid, attempt, next_at=next_at)
        case GivenUp(attempt, next_at):
            return outbox.expire(log, endpoint.uid, endpoint.name, entry, attempt, next_at=next_at)
