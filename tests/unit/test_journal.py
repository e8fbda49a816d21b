"""The channel's journal: what was told survives a crash, what a crash cut short was never told."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from onair_core.contract import EventType, JournalEvent
from onair_media.ingest import journal as journal_module
from onair_media.ingest.journal import Journal


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "channel.jsonl"


def event(epoch: int, n: int) -> JournalEvent:
    return JournalEvent(epoch=epoch, n=n, type=EventType.STREAM_CONNECTED, at=1.0)


def numbers(events: list[JournalEvent]) -> list[tuple[int, int]]:
    return [(e.epoch, e.n) for e in events]


async def test_events_are_told_once_they_are_on_disk_and_in_order(path: Path, executor: Executor) -> None:
    told: list[list[tuple[int, int]]] = []
    journal = Journal(path, executor, lambda: told.append(numbers(journal.after(0, 0))))
    journal.append([event(1, 1), event(1, 2)], 1, b'{"a":1}')
    assert journal.after(0, 0) == []
    journal.append([event(2, 1)], 2, b'{"a":2}')
    await journal.settled()
    assert told[-1] == [(1, 1), (1, 2), (2, 1)]
    assert numbers(journal.after(1, 1)) == [(1, 2), (2, 1)]


async def test_a_restart_finds_events_state_and_epoch(path: Path, executor: Executor) -> None:
    journal = Journal(path, executor, lambda: None)
    journal.append([event(3, 1)], 3, b'{"a":1}')
    journal.append([], 4, b'{"a":2}')
    await journal.settled()
    again = Journal(path, executor, lambda: None)
    assert (numbers(again.after(0, 0)), again.state, again.last_epoch) == ([(3, 1)], b'{"a":2}', 4)


async def test_what_was_acknowledged_can_still_be_read_back_for_a_lost_event_log(
    path: Path, executor: Executor
) -> None:
    journal = Journal(path, executor, lambda: None)
    journal.append([event(1, 1), event(1, 2)], 1, b'{"a":1}')
    await journal.settled()
    journal.acknowledge(1, 2)
    journal.append([event(1, 3)], 1, b'{"a":1}')
    await journal.settled()
    assert numbers(journal.after(0, 0)) == [(1, 3)]
    assert numbers(journal.recorded()) == [(1, 1), (1, 2), (1, 3)]


@pytest.mark.parametrize("cut", [1, 5, 30])
async def test_a_record_cut_short_by_a_crash_is_as_if_it_never_was(path: Path, executor: Executor, cut: int) -> None:
    journal = Journal(path, executor, lambda: None)
    journal.append([event(1, 1)], 1, b'{"a":1}')
    await journal.settled()
    journal.append([event(1, 2)], 1, b'{"a":2}')
    await journal.settled()
    path.write_bytes(path.read_bytes()[:-cut])

    again = Journal(path, executor, lambda: None)
    assert (numbers(again.after(0, 0)), again.state) == ([(1, 1)], b'{"a":1}')
    again.append([event(2, 1)], 2, b'{"a":3}')
    await again.settled()
    assert numbers(Journal(path, executor, lambda: None).after(0, 0)) == [(1, 1), (2, 1)]


async def test_a_full_disk_holds_events_back_and_loses_none(
    path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.001)
    journal = Journal(path, executor, lambda: None)
    extend = journal._extend
    failures = iter([OSError(errno.ENOSPC, "No space left on device")] * 3)

    def full_for_a_while(lines: bytes) -> None:
        if failure := next(failures, None):
            raise failure
        extend(lines)

    monkeypatch.setattr(journal, "_extend", full_for_a_while)
    journal.append([event(1, 1)], 1, b"{}")
    journal.append([event(1, 2)], 1, b"{}")
    await journal.settled()
    assert numbers(Journal(path, executor, lambda: None).after(0, 0)) == [(1, 1), (1, 2)]


async def test_acknowledged_events_are_dropped_when_the_file_grows_and_the_rest_stays(
    path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "COMPACT_AT_BYTES", 2000)
    journal = Journal(path, executor, lambda: None)
    for n in range(1, 101):
        journal.append([event(1, n)], 1, b'{"n":%d}' % n)
        await journal.settled()
        if n > 2:
            journal.acknowledge(1, n - 2)
    assert path.stat().st_size < 4000
    again = Journal(path, executor, lambda: None)
    assert {(1, 99), (1, 100)} <= set(numbers(again.after(0, 0)))
    assert (again.state, again.last_epoch) == (b'{"n":100}', 1)
