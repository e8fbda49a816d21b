"""One subject's events, numbered, and how far each of them has been told: pure data and pure functions.

The rules, all of them kept here:

* `seq` counts 1, 2, 3 … in the order in which events were taken in. Numbers are never reused and never
  skipped, but once: a log in place of a lost one goes on from the time of day, which no count ever reaches.
* Taking in is idempotent. What comes from the journal is recognised by its (epoch, n), what the operator says
  itself by a key derived from what caused it (`generation-4`). So the operator may crash at any point, also
  between the event log and the status, and say everything again.
* An event's id is a function of the subject's UID, its source and its type. A repeat has the same id, even
  when the log itself was lost and is made anew from the journal.
* Nothing leaves the log unseen: what is dropped before it was delivered leaves a warning event behind.

Times are Unix seconds.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from onair_core.contract import BroadcastRef, EventType, JournalEvent

# Event ids are UUIDs of this namespace (RFC 9562, version 5): fixed for ever, or repeats would get other ids.
ID_NAMESPACE = uuid.UUID("8f2b1c5e-6d0a-5b0e-9a53-0f7a6e1d9c41")

# How many of the operator's own events are recognised when they are repeated although their entries are gone.
OWN_IDS_KEPT = 32


class Subject(msgspec.Struct, frozen=True):
    """Whose log it is: a LiveStream, or an Asset whose events no longer belong to a LiveStream's broadcast.

    `labels` are the subject's newest, for the selectors of webhook endpoints.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    labels: dict[str, str] = msgspec.field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class ObjectRef(msgspec.Struct, frozen=True):
    """The webhook envelope's `object`: `type` is `live` or `asset`, as at Mux."""

    type: str
    id: str


class Snapshot(msgspec.Struct, frozen=True):
    """What an event's webhook will show: the state right after it (`webhooks.resources` makes these)."""

    object: ObjectRef
    data: dict[str, Any]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event.

    `at` is when it happened, `recorded_at` when it was taken in. `source` tells where it came from:
    `journal/2.17` or `own/generation-4`.
    """

    seq: int
    id: str
    type: EventType
    at: float
    recorded_at: float
    source: str
    object: ObjectRef
    data: dict[str, Any]
    broadcast: BroadcastRef | None = None
    reason: str = ""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One failed try to deliver an entry. `status` is None when no HTTP answer came; `body` is an excerpt."""

    number: int
    at: float
    status: int | None = None
    body: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    problem: str = ""


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far one endpoint has got: everything up to `done` was delivered, not wanted, or given up with a
    warning.

    `failures` counts tries that failed since the last success, over all entries; `attempts` are the newest of
    those that went to the entry after `done`, `tries` is how many those were. `revision` is the endpoint's
    (`webhooks.Endpoint`) when it failed: one that has another by now was changed since.
    """

    done: int
    failures: int = 0
    failing_since: float | None = None
    next_at: float | None = None
    revision: str = ""
    tries: int = 0
    attempts: tuple[Attempt, ...] = ()


class JournalCursor(msgspec.Struct, frozen=True, order=True):
    """The newest journal record that was taken in; (0, 0) before the first."""

    epoch: int = 0
    n: int = 0


class EventLog(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The log of one subject. `cursors` is by endpoint UID; `closed` means the subject is gone: no event will
    follow.
    """

    subject: Subject
    next_seq: int = 1
    entries: tuple[Entry, ...] = ()
    journal: JournalCursor = JournalCursor()
    cursors: dict[str, Cursor] = msgspec.field(default_factory=dict)
    own: tuple[str, ...] = ()
    closed: bool = False

    @property
    def last_seq(self) -> int:
        """The newest entry's number; 0 before the first."""
        return self.next_seq - 1


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one log may hold. `kept` entries stay for people when all is delivered; the rest bounds the
    outbox.

    `max_bytes` of entries and `max_attempt_bytes` of earlier tries, over all endpoints, keep a log well below
    what an API server stores in one object (1.5 MiB).
    """

    kept: int = 100
    max_entries: int = 1000
    max_bytes: int = 768 * 1024
    max_attempt_bytes: int = 256 * 1024


def new_log(subject: Subject) -> EventLog:
    """A log without events."""
    return EventLog(subject=subject)


def log_in_place_of_a_lost_one(subject: Subject, *, at: float) -> EventLog:
    """A log without events whose numbers are above all that the lost one gave. `at` is now."""
    return EventLog(subject=subject, next_seq=int(at))


def event_id(uid: str, source: str, event_type: EventType) -> str:
    """The id of an event for ever: the same source always gives the same id."""
    return str(uuid.uuid5(ID_NAMESPACE, f"{uid}/{source}/{event_type.value}"))


def append_journal(
    log: EventLog,
    events: Iterable[JournalEvent],
    snapshot: Callable[[JournalEvent], Snapshot],
    *,
    now: float,
) -> EventLog:
    """Takes in journal records, oldest first; those known already are passed over.

    `snapshot` is asked once for each new record, in order, for the state right after it.
    Raises `ValueError` when the records are not in rising order: taking them in would lose some.
    """
    previous: JournalCursor | None = None
    entries, journal = list(log.entries), log.journal
    for event in events:
        position = JournalCursor(event.epoch, event.n)
        if previous is not None and position <= previous:
            raise ValueError(f"journal records out of order: {position} follows {previous}")
        previous = position
        if position <= log.journal:
            continue
        entries.append(
            _entry(
                log,
                log.next_seq + len(entries) - len(log.entries),
                event.type,
                f"journal/{event.epoch}.{event.n}",
                snapshot(event),
                at=event.at,
                now=now,
                broadcast=event.broadcast,
                reason=str(event.data.get("reason", "")),
            )
        )
        journal = position
    return _with(log, entries, journal)


def append_own(
    log: EventLog,
    event_type: EventType,
    key: str,
    snapshot: Snapshot,
    *,
    at: float,
    reason: str = "",
) -> EventLog:
    """Takes in an event of the operator's own (created, updated, enabled, disabled, deleted, …), once per
    `key`.

    `key` says what caused it, so that a repeat is recognised: `created`, `generation-4`.
    """
    source = f"own/{key}"
    own_id = event_id(log.subject.uid, source, event_type)
    if own_id in log.own or any(entry.id == own_id for entry in log.entries):
        return log
    entry = _entry(log, log.next_seq, event_type, source, snapshot, at=at, now=at, broadcast=None, reason=reason)
    log = _with(log, [*log.entries, entry], log.journal)
    return replace(log, own=(*log.own, own_id)[-OWN_IDS_KEPT:])


def append_warning(log: EventLog, key: str, kind: str, message: str, *, at: float) -> EventLog:
    """Takes in a warning about the subject itself, in Mux's small form: `data.warning = {type, message}`."""
    asset = log.subject.kind == "Asset"
    event_type = EventType.ASSET_WARNING if asset else EventType.STREAM_WARNING
    ref = ObjectRef("asset", log.subject.name) if asset else ObjectRef("live", log.subject.uid)
    newest = next((entry.data for entry in reversed(log.entries) if entry.object == ref), {})
    data: dict[str, Any] = {
        "id": ref.id,
        **{name: newest[name] for name in ("active_asset_id", "passthrough", "status") if name in newest},
        **({} if asset else {"stream_key": ""}),
        "warning": {"type": kind, "message": message},
    }
    return append_own(log, event_type, f"warning/{key}", Snapshot(ref, data), at=at, reason=kind)


def close(log: EventLog) -> EventLog:
    """The subject is gone: once everything is delivered or given up, the log may be removed."""
    return log if log.closed else replace(log, closed=True)


def with_subject(log: EventLog, subject: Subject) -> EventLog:
    """The log with the subject's newest labels. Raises `ValueError` for another subject."""
    if subject.uid != log.subject.uid:
        raise ValueError(f"the log belongs to {log.subject.uid}, not {subject.uid}")
    return log if subject == log.subject else replace(log, subject=subject)


def _with(log: EventLog, entries: Sequence[Entry], journal: JournalCursor) -> EventLog:
    """The log with new entries behind those that it has."""
    added = len(entries) - len(log.entries)
    return replace(log, next_seq=log.next_seq + added, entries=tuple(entries), journal=journal)


def _entry(
    log: EventLog,
    seq: int,
    event_type: EventType,
    source: str,
    snapshot: Snapshot,
    *,
    at: float,
    now: float,
    broadcast: BroadcastRef | None,
    reason: str,
) -> Entry:
    return Entry(
        seq=seq,
        id=event_id(log.subject.uid, source, event_type),
        type=event_type,
        at=at,
        recorded_at=now,
        source=source,
        object=snapshot.object,
        data=snapshot.data,
        broadcast=broadcast,
        reason=reason,
    )
