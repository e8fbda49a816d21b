"""Event logs as files: versions, concurrent writers and readers, damage."""

from __future__ import annotations

import asyncio
import re
import stat
import threading
from pathlib import Path

import pytest
import structlog

from onair_core.contract import EventType
from onair_operator.eventlog import (
    Conflict,
    DamagedLog,
    EventLog,
    FileEventLogs,
    ObjectRef,
    Snapshot,
    Subject,
    append_own,
    new_log,
    update,
    update_existing,
)

SUBJECT = Subject("LiveStream", "events", "keynote", "0b7c6a3e-5a55-4c0e-8f0e-2b1d7a1f9a10", {"team": "av"})


def said(log: EventLog, n: int) -> EventLog:
    return append_own(
        log, EventType.STREAM_UPDATED, f"generation-{n}", Snapshot(ObjectRef("live", "x"), {"n": n}), at=float(n)
    )


@pytest.fixture
def store(tmp_path: Path) -> FileEventLogs:
    return FileEventLogs(tmp_path / "events")


async def test_what_was_saved_is_loaded_by_another_process(store: FileEventLogs, tmp_path: Path) -> None:
    log = said(said(new_log(SUBJECT), 1), 2)
    version = await store.save(log, None)
    other = FileEventLogs(tmp_path / "events")
    stored = await other.load(SUBJECT.uid)
    assert stored is not None
    assert (stored.log, stored.version) == (log, version)
    assert await other.uids() == [SUBJECT.uid]
    assert stat.S_IMODE((tmp_path / "events").stat().st_mode) == 0o700


async def test_nothing_is_there_before_the_first_save(store: FileEventLogs) -> None:
    assert await store.load(SUBJECT.uid) is None
    assert await store.uids() == []
    await store.delete(SUBJECT.uid)
    assert await update_existing(store, SUBJECT.uid, lambda log: log) is None


async def test_a_stale_version_is_a_conflict(store: FileEventLogs) -> None:
    first = await store.save(new_log(SUBJECT), None)
    await store.save(said(new_log(SUBJECT), 1), first)
    with pytest.raises(Conflict):
        await store.save(said(new_log(SUBJECT), 2), first)
    with pytest.raises(Conflict):
        await store.save(new_log(SUBJECT), None)


async def test_concurrent_updates_all_arrive(store: FileEventLogs) -> None:
    await asyncio.gather(*(update(store, SUBJECT, lambda log, n=n: said(log, n)) for n in range(12)))  # type: ignore[misc]
    stored = await store.load(SUBJECT.uid)
    assert stored is not None
    assert [entry.seq for entry in stored.log.entries] == list(range(1, 13))
    assert {entry.data["n"] for entry in stored.log.entries} == set(range(12))


async def test_a_reader_never_sees_half_a_file(store: FileEventLogs) -> None:
    await store.save(new_log(SUBJECT), None)
    stop, problems, reads = threading.Event(), list[Exception](), 0

    def read() -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                assert store.read(SUBJECT.uid) is not None
                reads += 1
            except Exception as problem:
                problems.append(problem)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(30):
        await update(store, SUBJECT, lambda log, n=n: said(log, n))  # type: ignore[misc]
    stop.set()
    reader.join()
    assert not problems
    assert reads


async def test_a_crash_while_writing_leaves_the_old_log(store: FileEventLogs, tmp_path: Path) -> None:
    log = said(new_log(SUBJECT), 1)
    version = await store.save(log, None)
    (tmp_path / "events" / f".{SUBJECT.uid}.abc.new").write_text('{"version": 2, "lo')
    stored = await store.load(SUBJECT.uid)
    assert stored is not None
    assert (stored.log, stored.version) == (log, version)
    assert await store.uids() == [SUBJECT.uid]


OTHERS = b'{"version":1,"log":{"subject":{"kind":"LiveStream","namespace":"a","name":"b","uid":"other"}}}'


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": 2, "lo', b"\xff\x00", OTHERS])
async def test_a_damaged_log_is_put_aside_and_the_others_go_on(
    store: FileEventLogs, tmp_path: Path, content: bytes
) -> None:
    other = Subject("LiveStream", "events", "panel", "another-uid")
    await store.save(said(new_log(SUBJECT), 1), None)
    await store.save(said(new_log(other), 1), None)
    file = tmp_path / "events" / f"{SUBJECT.uid}.json"
    file.write_bytes(content)
    with pytest.raises(DamagedLog, match=re.escape(str(file))):
        store.read(SUBJECT.uid)
    assert file.exists()  # who only reads touches nothing
    with structlog.testing.capture_logs() as logs:
        assert await store.load(SUBJECT.uid) is None
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert file.with_suffix(".damaged").read_bytes() == content
    assert await store.uids() == [other.uid]
    assert await store.lost(SUBJECT.uid)
    assert not await store.lost(other.uid)
    assert await store.load(other.uid) is not None


async def test_a_log_that_was_damaged_since_it_was_read_is_a_conflict_and_then_begun_anew(
    store: FileEventLogs, tmp_path: Path
) -> None:
    await store.save(said(new_log(SUBJECT), 1), None)
    damaged = False

    def change(log: EventLog) -> EventLog:
        nonlocal damaged
        if not damaged:
            damaged = True
            (tmp_path / "events" / f"{SUBJECT.uid}.json").write_bytes(b"")
        return said(log, 2)

    log = await update(store, SUBJECT, change)
    assert [entry.data.get("n") for entry in log.entries] == [2, None]


async def test_a_log_in_place_of_a_lost_one_numbers_on_and_says_so(store: FileEventLogs, tmp_path: Path) -> None:
    before = await update(store, SUBJECT, lambda log: said(said(log, 1), 2))
    (tmp_path / "events" / f"{SUBJECT.uid}.json").write_bytes(b"")
    after = await update(store, SUBJECT, lambda log: said(log, 2), clock=lambda: 5000.0)
    assert [entry.seq for entry in after.entries] == [5000, 5001]
    assert after.entries[0].id == before.entries[1].id
    assert after.entries[1].data["warning"]["type"] == "event_log_damaged"
    again = await update(store, SUBJECT, lambda log: said(log, 3), clock=lambda: 6000.0)
    assert [entry.seq for entry in again.entries] == [5000, 5001, 5002]


async def test_what_a_killed_writer_leaves_is_overwritten_and_goes_with_the_log(
    store: FileEventLogs, tmp_path: Path
) -> None:
    left = tmp_path / "events" / f".{SUBJECT.uid}.json.new"
    version = await store.save(new_log(SUBJECT), None)
    left.write_text("half")
    await store.save(said(new_log(SUBJECT), 1), version)
    assert {file.name for file in left.parent.iterdir()} == {".lock", f"{SUBJECT.uid}.json"}
    left.write_text("half")
    await store.delete(SUBJECT.uid)
    assert {file.name for file in left.parent.iterdir()} == {".lock"}


async def test_deleted_logs_are_gone(store: FileEventLogs) -> None:
    await store.save(new_log(SUBJECT), None)
    await store.delete(SUBJECT.uid)
    assert await store.load(SUBJECT.uid) is None
    assert await store.uids() == []


@pytest.mark.parametrize("uid", ["", "../etc/passwd", ".lock", "a/b", "x" * 200])
async def test_only_uids_name_files(store: FileEventLogs, uid: str) -> None:
    with pytest.raises(ValueError, match="not a UID"):
        await store.load(uid)
