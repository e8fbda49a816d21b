"""What to deliver next and what an outcome leads to: pure decisions over a log, an endpoint and the time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from onair_operator.eventlog import Attempt, Cursor, Entry, EventLog, outbox
from onair_operator.webhooks.endpoint import Endpoint
from onair_operator.webhooks.outbound import Outcome
from onair_operator.webhooks.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Work:
    """What waits, at least one entry, and when the first of it is due (Unix seconds)."""

    cursor: Cursor
    waiting: tuple[Entry, ...]
    due: float

    @property
    def entry(self) -> Entry:
        """The next one to deliver."""
        return self.waiting[0]


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
    failing_since: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """It failed and the time of these `entries` is over; what follows them is due at `next_at`."""

    entries: tuple[Entry, ...]
    attempt: Attempt
    next_at: float
    failing_since: float


Verdict = Delivered | Again | GivenUp


def next_work(log: EventLog, endpoint: Endpoint) -> Work | Nothing:
    """What this endpoint, which has a cursor in the log, gets next."""
    cursor = log.cursors[endpoint.uid]
    labels = log.subject.labels
    waiting = tuple(e for e in outbox.after(log, cursor.done) if endpoint.wants(e.type.value, labels))
    if not waiting:
        return Nothing(skip_to=log.last_seq, lag=log.last_seq - cursor.done)
    return Work(cursor, waiting, due=cursor.next_at or 0.0)


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
    failing_since = schedule.failing_since(at, cursor.next_at, cursor.failing_since)
    deadline = schedule.deadline(work.entry.recorded_at, failing_since)
    next_at = schedule.next_at(at, failures, deadline, random)
    if next_at is not None:
        return Again(attempt, next_at, failing_since)

    def is_over(entry: Entry) -> bool:
        return schedule.deadline(entry.recorded_at, failing_since) <= at

    # An entry that had tries of its own may itself be the trouble: it goes alone, and the next is tried at once. When
    # that one fails too, it is the endpoint, and all whose time is over go together.
    alone = cursor.tries > 0
    over = work.waiting[:1] if alone else tuple(takewhile(is_over, work.waiting))
    follows = work.waiting[len(over) : len(over) + 1]
    at_once = any(is_over(entry) for entry in follows)
    return GivenUp(over, attempt, at if at_once else at + schedule.delay(failures, random), failing_since)


def record(log: EventLog, endpoint: Endpoint, entry: Entry, verdict: Verdict) -> EventLog:
    """The log with what came of the entry; unchanged when it knows already."""
    cursor = log.cursors.get(endpoint.uid)
    if cursor is None or cursor.done >= entry.seq:
        return log
    match verdict:
        case Delivered():
            return outbox.done(log, endpoint.uid, entry.seq, delivered=True)
        case Again():
            return outbox.failed(
                log,
                endpoint.uid,
                verdict.attempt,
                next_at=verdict.next_at,
                failing_since=verdict.failing_since,
                revision=endpoint.revision,
            )
        case GivenUp():
            return outbox.expire(
                log,
                endpoint.uid,
                endpoint.name,
                verdict.entries,
                verdict.attempt,
                next_at=verdict.next_at,
                failing_since=verdict.failing_since,
                revision=endpoint.revision,
            )
