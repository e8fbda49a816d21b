"""What keeps event logs: a small interface with optimistic locking, and `update`, the one way to write
through it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from prometheus_client import Counter

from onair_operator.eventlog import outbox
from onair_operator.eventlog.model import EventLog, Limits, Subject, log_in_place_of_a_lost_one, new_log, with_subject

_log = structlog.get_logger(__name__)

_OVERFLOWED = Counter(
    "onair_eventlog_overflowed_events_total",
    "Events dropped from a full event log before every webhook endpoint had them",
)


class Conflict(Exception):
    """The log was written by someone else since it was read: read it again and decide anew."""


@dataclass(frozen=True, slots=True)
class Versioned:
    """A log as it was read; `version` is opaque."""

    log: EventLog
    version: str


class EventLogStore(Protocol):
    """Keeps one log per subject UID."""

    async def load(self, uid: str) -> Versioned | None:
        """The log of this subject; None when there is none, or none that can be understood."""

    async def lost(self, uid: str) -> bool:
        """Whether a log of this subject was found damaged, now or earlier."""

    async def save(self, log: EventLog, expected_version: str | None) -> str:
        """Replaces the log durably and returns its new version. `expected_version` None: it must not exist
        yet.

        Raises `Conflict` when the stored version is another one.
        """

    async def delete(self, uid: str) -> None:
        """Removes the log; not an error when there is none."""

    async def uids(self) -> list[str]:
        """The UIDs of all subjects that have a log."""


async def update(
    store: EventLogStore,
    subject: Subject,
    change: Callable[[EventLog], EventLog],
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    clock: Callable[[], float] = time.time,
) -> EventLog:
    """Applies a pure change to the subject's log, which is made when there is none; returns the log as
    stored.

    `change` may be called more than once: again on the newer log when another writer came first. An unchanged
    log is not written. The log takes over the subject's newest labels. In place of a lost one a log is begun
    that numbers on, and says so in a warning event.
    """
    while True:
        stored = await store.load(subject.uid)
        if stored is not None:
            log = change(with_subject(stored.log, subject))
        elif await store.lost(subject.uid):
            at = clock()
            log = outbox.warn_of_damage(change(log_in_place_of_a_lost_one(subject, at=at)), at=at)
        else:
            log = change(new_log(subject))
        written = await _write(store, stored, log, limits, clock)
        if written is not None:
            return written


async def update_existing(
    store: EventLogStore,
    uid: str,
    change: Callable[[EventLog], EventLog],
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    clock: Callable[[], float] = time.time,
) -> EventLog | None:
    """As `update`, for a log that should be there, by its subject's UID; None when it is gone."""
    while True:
        stored = await store.load(uid)
        if stored is None:
            return None
        written = await _write(store, stored, change(stored.log), limits, clock)
        if written is not None:
            return written


async def _write(
    store: EventLogStore,
    stored: Versioned | None,
    log: EventLog,
    limits: Limits,
    clock: Callable[[], float],
) -> EventLog | None:
    """The log as stored; None when another writer came first."""
    log, lost = outbox.bounded(log, limits, at=clock())
    if stored is not None and log == stored.log:
        return log
    try:
        await store.save(log, stored.version if stored else None)
    except Conflict:
        return None
    if lost:
        _OVERFLOWED.inc(lost)
        _log.warning("event log is full, events dropped undelivered", subject=str(log.subject), events=lost)
    return log
