"""The event log: order, numbers, ids, and saying everything again after a crash."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_core.contract import BroadcastRef, EventType, JournalEvent
from onair_operator.eventlog import (
    Conflict,
    EventLog,
    JournalCursor,
    ObjectRef,
    Snapshot,
    Subject,
    Versioned,
    append_journal,
    append_own,
    append_warning,
    close,
    new_log,
    update,
)
from onair_operator.eventlog.model import OWN_IDS_KEPT

KEYNOTE = Subject("LiveStream", "events", "keynote", "0b7c6a3e-5a55-4c0e-8f0e-2b1d7a1f9a10", {"team": "av"})
TYPES = [EventType.STREAM_CONNECTED, EventType.STREAM_ACTIVE, EventType.STREAM_DISCONNECTED, EventType.ASSET_READY]


def shown(number: int = 0) -> Snapshot:
    return Snapshot(ObjectRef("live", KEYNOTE.uid), {"id": KEYNOTE.uid, "status": "idle", "number": number})


def told(epoch: int, n: int) -> JournalEvent:
    return JournalEvent(
        epoch=epoch,
        n=n,
        type=TYPES[n % len(TYPES)],
        at=100.0 + n,
        broadcast=BroadcastRef("keynote-7f3k2", epoch),
        data={"reason": "CleanStop"} if n % 3 == 0 else {},
    )


def taken(log: EventLog, *events: JournalEvent) -> EventLog:
    return append_journal(log, events, lambda event: shown(event.n), now=200.0)


journals = st.lists(st.integers(1, 4), max_size=4).map(
    lambda lengths: [told(epoch, n) for epoch, length in enumerate(lengths, 1) for n in range(1, length + 1)]
)
keys = st.lists(st.sampled_from(["created", "generation-2", "generation-3"]), max_size=5)


@given(journals, keys, st.data())
def test_numbers_have_no_gaps_and_repeats_change_nothing(
    journal: list[JournalEvent], own: list[str], data: st.DataObject
) -> None:
    log = new_log(KEYNOTE)
    for key in own:
        cut = data.draw(st.integers(0, len(journal)))
        log = taken(log, *journal[:cut])  # each time from the start again, as after a crash
        log = append_own(log, EventType.STREAM_UPDATED, key, shown(), at=150.0)
    log = taken(log, *journal)

    assert [entry.seq for entry in log.entries] == list(range(1, log.next_seq))
    assert len({entry.id for entry in log.entries}) == len(log.entries) == len(journal) + len(set(own))
    from_journal = [entry.source for entry in log.entries if entry.source.startswith("journal/")]
    assert from_journal == [f"journal/{event.epoch}.{event.n}" for event in journal]
    assert taken(log, *journal) == log


@given(journals)
def test_a_log_made_anew_from_the_journal_has_the_same_ids(journal: list[JournalEvent]) -> None:
    one_by_one = new_log(KEYNOTE)
    for event in journal:
        one_by_one = taken(one_by_one, event)
    assert one_by_one == taken(new_log(KEYNOTE), *journal)


def test_ids_differ_by_subject_source_and_type() -> None:
    other = Subject("LiveStream", "events", "keynote", "another-uid")
    log = new_log(KEYNOTE)
    ids = {
        append_own(log, EventType.STREAM_UPDATED, "generation-2", shown(), at=1).entries[0].id,
        append_own(log, EventType.STREAM_UPDATED, "generation-3", shown(), at=1).entries[0].id,
        append_own(log, EventType.STREAM_DISABLED, "generation-2", shown(), at=1).entries[0].id,
        append_own(new_log(other), EventType.STREAM_UPDATED, "generation-2", shown(), at=1).entries[0].id,
    }
    assert len(ids) == 4


def test_event_ids_never_change_between_releases() -> None:
    """A repeat after an upgrade must have the id that was sent before it."""
    entry = append_own(new_log(KEYNOTE), EventType.STREAM_CREATED, "created", shown(), at=1).entries[0]
    assert entry.id == "d1f7ee5d-5925-510c-9199-ca77abab22a1"


def test_an_entry_keeps_what_the_journal_said() -> None:
    entry = taken(new_log(KEYNOTE), told(2, 3)).entries[0]
    assert (entry.at, entry.recorded_at, entry.reason) == (103.0, 200.0, "CleanStop")
    assert entry.broadcast == BroadcastRef("keynote-7f3k2", 2)
    assert entry.data["number"] == 3


def test_the_journal_cursor_says_what_may_be_acknowledged() -> None:
    log = taken(new_log(KEYNOTE), told(1, 1), told(1, 2), told(3, 1))
    assert log.journal == JournalCursor(3, 1)


def test_journal_records_out_of_order_are_refused_as_taking_them_would_lose_some() -> None:
    with pytest.raises(ValueError, match="out of order"):
        taken(new_log(KEYNOTE), told(1, 2), told(1, 1))


def test_snapshots_are_asked_only_for_new_events() -> None:
    log = taken(new_log(KEYNOTE), told(1, 1))
    asked: list[int] = []

    def snapshot(event: JournalEvent) -> Snapshot:
        asked.append(event.n)
        return shown()

    append_journal(log, [told(1, 1), told(1, 2), told(1, 3)], snapshot, now=1.0)
    assert asked == [2, 3]


def test_an_own_event_is_recognised_while_its_entry_is_there_however_many_came_since() -> None:
    log = append_own(new_log(KEYNOTE), EventType.STREAM_UPDATED, "generation-2", shown(), at=1)
    for n in range(OWN_IDS_KEPT + 5):
        log = append_own(log, EventType.STREAM_WARNING, f"warning/{n}", shown(), at=1)
    assert append_own(log, EventType.STREAM_UPDATED, "generation-2", shown(), at=2) is log


def test_a_warning_has_muxs_small_data() -> None:
    log = append_own(new_log(KEYNOTE), EventType.STREAM_CREATED, "created", shown(7), at=1)
    warning = append_warning(log, "w1", "recording_failed", "The store is full", at=2).entries[-1]
    assert warning.type is EventType.STREAM_WARNING
    assert warning.data == {
        "id": KEYNOTE.uid,
        "status": "idle",
        "stream_key": "",
        "warning": {"type": "recording_failed", "message": "The store is full"},
    }


def test_closing_twice_is_closing_once() -> None:
    closed = close(new_log(KEYNOTE))
    assert closed.closed
    assert close(closed) is closed


class Crash(Exception):
    pass


class MemoryLogs:
    """An `EventLogStore` that a test can let crash, conflict, and look into."""

    def __init__(self) -> None:
        self.stored: Versioned | None = None
        self.saves = 0
        self.crash_at: int | None = None
        self.crash_after_write = False
        self.conflicts = 0

    async def load(self, uid: str) -> Versioned | None:
        return self.stored

    async def lost(self, uid: str) -> bool:
        return False

    async def save(self, log: EventLog, expected_version: str | None) -> str:
        self.saves += 1
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict
        if (self.stored.version if self.stored else None) != expected_version:
            raise Conflict
        if self.saves == self.crash_at and not self.crash_after_write:
            raise Crash
        self.stored = Versioned(log, str(self.saves))
        if self.saves == self.crash_at:
            raise Crash
        return self.stored.version

    async def delete(self, uid: str) -> None:
        self.stored = None

    async def uids(self) -> list[str]:
        return [self.stored.log.subject.uid] if self.stored else []


async def story(store: MemoryLogs) -> EventLog:
    """What a control plane does from its start: everything it knows, in order."""

    async def say(change: EventType, key: str) -> None:
        await update(store, KEYNOTE, lambda log: append_own(log, change, key, shown(), at=1), clock=lambda: 200.0)

    await say(EventType.STREAM_CREATED, "created")
    await update(store, KEYNOTE, lambda log: taken(log, told(1, 1), told(1, 2)), clock=lambda: 200.0)
    await say(EventType.STREAM_UPDATED, "generation-2")
    return await update(store, KEYNOTE, lambda log: taken(log, told(1, 2), told(2, 1)), clock=lambda: 200.0)


@given(crash_at=st.integers(1, 4), after_write=st.booleans())
def test_a_crash_at_any_save_leads_to_the_same_log(crash_at: int, after_write: bool) -> None:
    async def run() -> None:
        undisturbed = await story(MemoryLogs())
        store = MemoryLogs()
        store.crash_at, store.crash_after_write = crash_at, after_write
        with pytest.raises(Crash):
            await story(store)
        assert await story(store) == undisturbed

    asyncio.run(run())


async def test_update_decides_anew_when_another_writer_came_first() -> None:
    store = MemoryLogs()
    await update(store, KEYNOTE, lambda log: taken(log, told(1, 1)))
    store.conflicts = 2
    log = await update(store, KEYNOTE, lambda log: taken(log, told(1, 2)))
    assert [entry.seq for entry in log.entries] == [1, 2]


async def test_update_writes_nothing_when_nothing_changed() -> None:
    store = MemoryLogs()
    await update(store, KEYNOTE, lambda log: taken(log, told(1, 1)))
    await update(store, KEYNOTE, lambda log: taken(log, told(1, 1)))
    assert store.saves == 1


async def test_update_takes_over_new_labels() -> None:
    store = MemoryLogs()
    await update(store, KEYNOTE, lambda log: taken(log, told(1, 1)))
    relabelled = Subject(KEYNOTE.kind, KEYNOTE.namespace, KEYNOTE.name, KEYNOTE.uid, {"team": "stage"})
    assert (await update(store, relabelled, lambda log: log)).subject.labels == {"team": "stage"}
