"""The event log as an outbox: what delivering does to it. Pure functions, `EventLog -> EventLog`.

An entry is *pending* for an endpoint while its number is above the endpoint's cursor. A cursor only ever
moves forwards, one outcome at a time: delivered, not wanted, or expired; so order is kept and a crash repeats
at most the delivery whose outcome was not yet stored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence

import msgspec
from msgspec.structs import replace

from onair_operator.eventlog.model import (
    Attempt,
    Cursor,
    Entry,
    EventLog,
    Limits,
    append_warning,
)

# Warnings about deliveries: the deliverer does not warn about losing one of these, or a dead endpoint would
# have the log warn about its warnings for ever.
EXPIRED = "webhook_delivery_expired"
OVERFLOWED = "webhook_delivery_dropped"
DAMAGED = "event_log_damaged"

# Earlier tries that are kept with their answers, newest last; a dead endpoint has about 30 in its 24 hours.
ATTEMPTS_KEPT = 10


def after(log: EventLog, seq: int) -> tuple[Entry, ...]:
    """The entries numbered above `seq`."""
    return log.entries[bisect_right(log.entries, seq, key=lambda entry: entry.seq) :]


def start_of(log: EventLog, created_at: float) -> int:
    """Where a new endpoint begins: at the first entry recorded at or after its creation."""
    for entry in log.entries:
        if entry.recorded_at >= created_at:
            return entry.seq - 1
    return log.last_seq


def with_endpoint(log: EventLog, endpoint: str, created_at: float) -> EventLog:
    """A cursor for this endpoint, if it has none yet."""
    if endpoint in log.cursors:
        return log
    return _with_cursor(log, endpoint, Cursor(done=start_of(log, created_at)))


def only_endpoints(log: EventLog, endpoints: Collection[str]) -> EventLog:
    """Without the cursors of endpoints that are gone."""
    kept = {uid: cursor for uid, cursor in log.cursors.items() if uid in endpoints}
    return log if len(kept) == len(log.cursors) else replace(log, cursors=kept)


def done(log: EventLog, endpoint: str, seq: int, *, delivered: bool) -> EventLog:
    """Everything up to `seq` needs nothing more for this endpoint. `delivered`: the last of it was answered
    with 2xx.
    """
    cursor = log.cursors.get(endpoint)
    if cursor is None or seq <= cursor.done:
        return log
    if delivered:
        return _with_cursor(log, endpoint, Cursor(done=seq))
    return _with_cursor(log, endpoint, replace(cursor, done=seq, tries=0, attempts=()))


def failed(
    log: EventLog, endpoint: str, attempt: Attempt, *, next_at: float, failing_since: float, revision: str
) -> EventLog:
    """A try to deliver the entry after the cursor failed; the next comes at `next_at`. `revision` and
    `failing_since` as in `Cursor`.
    """
    cursor = log.cursors.get(endpoint)
    if cursor is None:
        return log
    return _with_cursor(
        log,
        endpoint,
        replace(
            cursor,
            failures=cursor.failures + 1,
            failing_since=failing_since,
            next_at=next_at,
            revision=revision,
            tries=cursor.tries + 1,
            attempts=(*cursor.attempts, attempt)[-ATTEMPTS_KEPT:],
        ),
    )


def retry_when_changed(log: EventLog, endpoint: str, revision: str) -> EventLog:
    """When the endpoint was changed since it failed, the next try comes at once and its time begins anew."""
    cursor = log.cursors.get(endpoint)
    if cursor is None or cursor.next_at is None or cursor.revision == revision:
        return log
    return _with_cursor(log, endpoint, replace(cursor, failures=0, failing_since=None, next_at=None))


def expire(
    log: EventLog,
    endpoint: str,
    name: str,
    entries: Sequence[Entry],
    attempt: Attempt,
    *,
    next_at: float,
    failing_since: float,
    revision: str,
) -> EventLog:
    """These entries, the next ones that wait, are given up for this endpoint after a last try; one warning
    event says so.

    `name` is the endpoint's, for people. The endpoint's backoff goes on: what follows waits until `next_at`.
    """
    cursor = log.cursors.get(endpoint)
    if cursor is None or cursor.done >= entries[0].seq:
        return log
    log = _with_cursor(
        log,
        endpoint,
        replace(
            cursor,
            done=entries[-1].seq,
            failures=cursor.failures + 1,
            failing_since=failing_since,
            next_at=next_at,
            revision=revision,
            tries=0,
            attempts=(),
        ),
    )
    missed = [entry for entry in entries if not is_delivery_warning(entry)]
    if not missed:
        return log
    what = f"{missed[0].type.value} ({missed[0].id}) was"
    if len(missed) > 1:
        last = f"{missed[-1].type.value} ({missed[-1].id})"
        what = f"{len(missed)} events, from {missed[0].type.value} ({missed[0].id}) to {last}, were"
    message = f"{what} not delivered to webhook endpoint {name} in time: {attempt.problem}"
    return append_warning(log, f"expired/{endpoint}/{entries[0].seq}", EXPIRED, message, at=attempt.at)


def warn_of_damage(log: EventLog, *, at: float) -> EventLog:
    """A log in place of a lost one says so."""
    message = "the event log was damaged: events may be missing, and some come again with the ids they had"
    return append_warning(log, f"damaged/{int(at)}", DAMAGED, message, at=at)


def is_delivery_warning(entry: Entry) -> bool:
    """Whether the entry is itself a warning about a webhook that did not arrive."""
    return entry.reason in (EXPIRED, OVERFLOWED)


def trim(log: EventLog, limits: Limits) -> EventLog:
    """Without the entries that every endpoint has got and that are older than the newest `limits.kept`."""
    settled = min((cursor.done for cursor in log.cursors.values()), default=log.last_seq)
    last = min(settled, log.last_seq - limits.kept)
    kept = after(log, last)
    return log if len(kept) == len(log.entries) else replace(log, entries=kept)


def bounded(log: EventLog, limits: Limits, *, at: float) -> tuple[EventLog, int]:
    """The log within its bounds, and how many undelivered entries that cost; they leave one warning event.

    When it has too many entries, the oldest go until a quarter is free, so that this does not happen at each
    event. Earlier tries only inform: of those as many are kept for each endpoint as there is room for.
    """
    log = _with_bounded_attempts(log, limits)
    sizes = [len(msgspec.json.encode(entry)) for entry in log.entries]
    if len(sizes) <= limits.max_entries and sum(sizes) <= limits.max_bytes:
        return log, 0
    count, size = len(sizes), sum(sizes)
    room_entries, room_bytes = limits.max_entries * 3 // 4, limits.max_bytes * 3 // 4
    dropped = 0
    while dropped < len(sizes) and (count > room_entries or size > room_bytes):
        count, size = count - 1, size - sizes[dropped]
        dropped += 1
    last = log.entries[dropped - 1].seq
    lost = [e for e in log.entries[:dropped] if any(e.seq > c.done for c in log.cursors.values())]
    cursors = {
        uid: c if c.done >= last else replace(c, done=last, tries=0, attempts=()) for uid, c in log.cursors.items()
    }
    log = replace(log, entries=log.entries[dropped:], cursors=cursors)
    if any(not is_delivery_warning(entry) for entry in lost):
        numbers = f"{lost[0].seq} to {lost[-1].seq}"
        message = f"{len(lost)} events ({numbers}) were dropped before all webhook endpoints had them"
        log = append_warning(log, f"dropped/{last}", OVERFLOWED, message, at=at)
    return log, len(lost)


def _with_bounded_attempts(log: EventLog, limits: Limits) -> EventLog:
    kept = ATTEMPTS_KEPT
    while kept and sum(_attempts_size(cursor) for cursor in log.cursors.values()) > limits.max_attempt_bytes:
        kept //= 2
        cursors = {
            uid: replace(c, attempts=c.attempts[-kept:] if kept else ()) if c.attempts else c
            for uid, c in log.cursors.items()
        }
        log = replace(log, cursors=cursors)
    return log


def _attempts_size(cursor: Cursor) -> int:
    return len(msgspec.json.encode(cursor.attempts)) if cursor.attempts else 0


def _with_cursor(log: EventLog, endpoint: str, cursor: Cursor) -> EventLog:
    return replace(log, cursors={**log.cursors, endpoint: cursor})
