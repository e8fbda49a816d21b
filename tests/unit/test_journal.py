"""The channel's journal: what was told survives a crash, what a crash cut short was never told."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
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
    await journal.settled(5)
    assert told[-1] == [(1, 1), (1, 2), (2, 1)]
    assert numbers(journal.after(1, 1)) == [(1, 2), (2, 1)]


async def test_a_restart_finds_events_state_and_epoch(path: Path, executor: Executor) -> None:
    journal = Journal(path, executor, lambda: None)
    journal.append([event(3, 1)], 3, b'{"a":1}')
    journal.append([], 4, b'{"a":2}')
    await journal.settled(5)
    again = Journal(path, executor, lambda: None)
    assert (numbers(again.after(0, 0)), again.state, again.last_epoch) == ([(3, 1)], b'{"a":2}', 4)


async def test_the_newest_event_is_durable_and_known_when_it_was_acknowledged_as_well(
    path: Path, executor: Executor
) -> None:
    journal = Journal(path, executor, lambda: None)
    assert journal.newest == (0, 0)
    journal.append([event(1, 1), event(2, 2)], 2, b'{"a":1}')
    assert journal.newest == (0, 0)
    await journal.settled(5)
    assert journal.newest == (2, 2)
    journal.acknowledge(2, 2)
    assert journal.after(0, 0) == [] and journal.newest == (2, 2)
    journal.acknowledge(7, 1)  # on a volume that is new
    assert journal.newest == (7, 1)


async def test_what_was_acknowledged_can_still_be_read_back_for_a_lost_event_log(
    path: Path, executor: Executor
) -> None:
    journal = Journal(path, executor, lambda: None)
    journal.append([event(1, 1), event(1, 2)], 1, b'{"a":1}')
    await journal.settled(5)
    journal.acknowledge(1, 2)
    journal.append([event(1, 3)], 1, b'{"a":1}')
    await journal.settled(5)
    assert numbers(journal.after(0, 0)) == [(1, 3)]
    assert numbers(journal.recorded()) == [(1, 1), (1, 2), (1, 3)]


@pytest.mark.parametrize("cut", [1, 5, 30])
async def test_a_record_cut_short_by_a_crash_is_as_if_it_never_was(path: Path, executor: Executor, cut: int) -> None:
    journal = Journal(path, executor, lambda: None)
    journal.append([event(1, 1)], 1, b'{"a":1}')
    await journal.settled(5)
    journal.append([event(1, 2)], 1, b'{"a":2}')
    await journal.settled(5)
    path.write_bytes(path.read_bytes()[:-cut])

    again = Journal(path, executor, lambda: None)
    assert (numbers(again.after(0, 0)), again.state) == ([(1, 1)], b'{"a":1}')
    again.append([event(2, 1)], 2, b'{"a":3}')
    await again.settled(5)
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
    await journal.settled(5)
    assert numbers(Journal(path, executor, lambda: None).after(0, 0)) == [(1, 1), (1, 2)]


async def test_acknowledged_events_are_dropped_when_the_file_grows_and_the_rest_stays(
    path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "COMPACT_AT_BYTES", 2000)
    journal = Journal(path, executor, lambda: None)
    for n in range(1, 101):
        journal.append([event(1, n)], 1, b'{"n":%d}' % n)
        await journal.settled(5)
        if n > 2:
            journal.acknowledge(1, n - 2)
    assert path.stat().st_size < 4000
    again = Journal(path, executor, lambda: None)
    assert {(1, 99), (1, 100)} <= set(numbers(again.after(0, 0)))
    assert (again.state, again.last_epoch) == (b'{"n":100}', 1)


async def test_a_lost_journal_goes_on_above_what_the_control_plane_has(path: Path, executor: Executor) -> None:
    journal = Journal(path, executor, lambda: None, after=(7, 12))
    assert journal.last_epoch == 7
    journal.append([event(8, 1)], 8, b"{}")
    await journal.settled(5)
    assert numbers(journal.after(7, 12)) == [(8, 1)]


async def test_what_the_control_plane_has_is_not_kept(path: Path, executor: Executor) -> None:
    journal = Journal(path, executor, lambda: None)
    journal.append([event(1, 1), event(1, 2)], 1, b"{}")
    await journal.settled(5)
    again = Journal(path, executor, lambda: None, after=(1, 1))
    assert numbers(again.after(0, 0)) == [(1, 2)]
    assert again.last_at == 1.0


@pytest.mark.parametrize("damage", [b"\0" * 20, b"\xff\xfe", b"{}", b'{"events":[\r', b""])
async def test_a_damaged_line_costs_that_line_and_the_damaged_file_is_kept(
    path: Path, executor: Executor, damage: bytes
) -> None:
    journal = Journal(path, executor, lambda: None)
    for n in (1, 2, 3):
        journal.append([event(n, 1)], n, b'{"n":%d}' % n)
        await journal.settled(5)
    lines = path.read_bytes().split(b"\n")
    lines[1] = damage
    path.write_bytes(damaged := b"\n".join(lines))

    again = Journal(path, executor, lambda: None)
    assert (numbers(again.after(0, 0)), again.state) == ([(1, 1), (3, 1)], b'{"n":3}')
    assert again.last_epoch == 4, "the lost line may have begun an epoch"
    again.append([event(5, 1)], 5, b'{"n":5}')
    await again.settled(5)
    assert path.with_name(path.name + ".damaged").read_bytes() == damaged
    mended = Journal(path, executor, lambda: None)
    assert numbers(mended.after(0, 0)) == [(1, 1), (3, 1), (5, 1)] and mended.last_epoch == 5


async def test_a_journal_damaged_from_its_first_byte_on_silences_nothing(path: Path, executor: Executor) -> None:
    path.write_bytes(b"not a journal at all\n")
    journal = Journal(path, executor, lambda: None, after=(3, 9))
    assert journal.state is None and journal.last_epoch >= 3
    journal.append([event(5, 1)], 5, b"{}")
    await journal.settled(5)
    assert numbers(Journal(path, executor, lambda: None).after(3, 9)) == [(5, 1)]


@pytest.mark.parametrize("cut", [None, 0, 10])
async def test_a_file_that_is_taken_away_is_written_anew_and_leaves_no_hole(
    path: Path, executor: Executor, cut: int | None
) -> None:
    journal = Journal(path, executor, lambda: None)
    journal.append([event(1, 1)], 1, b'{"a":1}')
    await journal.settled(5)
    if cut is None:
        path.unlink()
    else:
        os.truncate(path, cut)
    journal.append([event(1, 2)], 1, b'{"a":2}')
    await journal.settled(5)
    assert b"\0" not in path.read_bytes()
    again = Journal(path, executor, lambda: None)
    assert (numbers(again.after(0, 0)), again.state) == ([(1, 1), (1, 2)], b'{"a":2}')


async def test_a_new_name_is_synced_with_its_folder(
    path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "COMPACT_AT_BYTES", 100)
    synced: list[bool] = []  # whether it was a folder
    fsync = os.fsync

    def watched(number: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(number).st_mode))
        fsync(number)

    monkeypatch.setattr(os, "fsync", watched)
    journal = Journal(path, executor, lambda: None)
    journal.append([event(1, 1)], 1, b"{}")
    await journal.settled(5)
    assert synced == [False, True]
    synced.clear()
    journal.append([event(1, 2)], 1, b"{}")  # the file is rewritten
    await journal.settled(5)
    assert synced == [False, True]
    assert path.stat().st_size < 400, "and in place"


async def test_what_fails_in_an_unforeseen_way_is_tried_again_too(
    path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.001)
    journal = Journal(path, executor, lambda: None)
    extend = journal._extend
    failures = iter([RuntimeError("cannot schedule new futures"), MemoryError()])

    def broken_for_a_while(lines: bytes) -> None:
        if failure := next(failures, None):
            raise failure
        extend(lines)

    monkeypatch.setattr(journal, "_extend", broken_for_a_while)
    journal.append([event(1, 1)], 1, b"{}")
    assert await journal.settled(5)
    assert numbers(Journal(path, executor, lambda: None).after(0, 0)) == [(1, 1)]


async def test_a_batch_that_was_interrupted_goes_with_the_next_one(
    path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 3600)
    journal = Journal(path, executor, lambda: None)
    extend, tried = journal._extend, asyncio.Event()
    loop = asyncio.get_running_loop()

    def full(lines: bytes) -> None:
        loop.call_soon_threadsafe(tried.set)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "_extend", full)
    journal.append([event(1, 1)], 1, b"{}")
    await tried.wait()
    assert journal._writing is not None
    journal._writing.cancel()
    await asyncio.wait([journal._writing])
    monkeypatch.setattr(journal, "_extend", extend)
    journal.append([event(1, 2)], 1, b"{}")
    assert await journal.settled(5)
    assert numbers(Journal(path, executor, lambda: None).after(0, 0)) == [(1, 1), (1, 2)]


async def test_a_listener_that_fails_stops_no_writing(path: Path, executor: Executor) -> None:
    def broken() -> None:
        raise KeyError("defect")

    journal = Journal(path, executor, broken)
    journal.append([event(1, 1)], 1, b"{}")
    await asyncio.sleep(0)
    journal.append([event(1, 2)], 1, b"{}")
    assert await journal.settled(5)
    assert numbers(journal.after(0, 0)) == [(1, 1), (1, 2)]


async def test_waiting_for_a_full_disk_ends(path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path, executor, lambda: None)

    def full(lines: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "_extend", full)
    journal.append([event(1, 1)], 1, b"{}")
    assert not await journal.settled(0.01)
    journal.close()
    assert journal.after(0, 0) == []
