"""A spool before a store: nothing is lost while the store is slow or away, and nothing arrives before what it names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_parts import ORIGIN, REF, Listener, begin, inits, segment, until

from onair_core.contract import BroadcastRef
from onair_media.recording import Recorder, Recording, read_recording
from onair_media.recording import recorder as recorder_module
from onair_media.store import ObjectStore, SpooledStore, StoreError, open_store
from onair_media.store import spool as spool_module

MEBIBYTE = 1024 * 1024


class Remote(ObjectStore):
    """A real store, over files, that can be away; `log` has what arrived, in order."""

    def __init__(self, folder: Path, *, away: bool = False) -> None:
        super().__init__(open_store(f"file://{folder}")._store, name="remote")
        self.away = away
        self.failing = ""
        """Paths that have this in them fail."""
        self.log: list[str] = []
        self.deleted: list[str] = []

    def _answer(self, path: str) -> None:
        if self.away or (self.failing and self.failing in path):
            raise StoreError("connection refused")

    async def put(self, path: str, data: bytes) -> None:
        await asyncio.sleep(0)
        self._answer(path)
        await super().put(path, data)
        self.log.append(path)

    async def create(self, path: str, data: bytes) -> bool:
        self._answer(path)
        return await super().create(path, data)

    async def get(self, path: str) -> bytes | None:
        self._answer(path)
        return await super().get(path)

    async def sizes(self, prefix: str) -> dict[str, int]:
        self._answer(prefix)
        return await super().sizes(prefix)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(recorder_module, "LAST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(spool_module, "RETRY", spool_module.Backoff(first=0.001, longest=0.01))


def spooled(remote: ObjectStore, folder: Path, budget: int = 100 * MEBIBYTE) -> SpooledStore:
    return SpooledStore(remote, folder / "spool", budget)


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def names_nothing_absent(log: list[str]) -> bool:
    """Whether each manifest entry arrived behind its segments, and `asset.json` behind everything."""
    there: set[str] = set()
    for path in log:
        if "/manifest/" in path:
            number = path.rpartition("/")[2].removesuffix(".json")
            epoch = path.split("/")[-2]
            wanted = {f"assets/{REF.id}/{epoch}/{track}/{number}.m4s" for track in ("video", "audio")}
            if not wanted <= there:
                return False
        there.add(path)
    return not any(path.endswith("asset.json") for path in log[:-1])


async def test_what_is_recorded_arrives_and_leaves_nothing_behind(tmp_path: Path) -> None:
    remote, listener = Remote(tmp_path / "remote"), Listener()
    recorder = begin(spooled(remote, tmp_path), listener)
    recorder.fix_target_duration(2)
    for number in range(20):
        recorder.add(segment(number))
    assert await recorder.finish()
    assert names_nothing_absent(remote.log) and remote.log[-1].endswith("asset.json")
    found = await read_recording(remote, REF.id)
    assert found is not None and found.ended and [s.number for s in found.segments] == list(range(20))
    assert not files(tmp_path / "spool") and not listener.warnings


async def test_a_store_that_is_away_costs_disk_and_nothing_else(tmp_path: Path) -> None:
    """From before the broadcast began until after it has ended: it is playable here all the while."""
    remote, listener = Remote(tmp_path / "remote", away=True), Listener()
    store = spooled(remote, tmp_path)
    recorder = begin(store, listener)
    recorder.fix_target_duration(2)
    for number in range(50):
        recorder.add(segment(number))
    await until(lambda: len(list((tmp_path / "spool").rglob("*.json"))) == 50)
    assert listener.warnings == ["RecordingStalled"] and store.waiting_bytes > 10_000
    finishing = asyncio.create_task(recorder.finish())
    await asyncio.sleep(0.01)
    assert not finishing.done() and not remote.log
    remote.away = False
    assert await finishing
    assert names_nothing_absent(remote.log)
    found = await read_recording(remote, REF.id)
    assert found is not None and len(found.segments) == 50 and not any(s.discontinuity for s in found.segments)
    assert listener.warnings == ["RecordingStalled", "RecordingResumed"]
    assert store.waiting_bytes == 0 and not files(tmp_path / "spool")


async def test_it_is_read_from_here_until_it_is_there(tmp_path: Path) -> None:
    remote = Remote(tmp_path / "remote", away=True)
    store = spooled(remote, tmp_path)
    await store.put("assets/a/1/video/0.m4s", b"0123456789")
    assert await store.get("assets/a/1/video/0.m4s") == b"0123456789" and await store.has("assets/a/1/video/0.m4s")
    assert await store.get_range("assets/a/1/video/0.m4s", 2, 4) == b"23"
    remote.away = False
    assert await store.sizes("assets/a/") == {"assets/a/1/video/0.m4s": 10} and await store.folders("assets/") == ["a"]
    store.sync_soon(["assets/a/1/video/0.m4s"])
    await store.settled()
    assert not files(tmp_path / "spool") and remote.log == ["assets/a/1/video/0.m4s"]
    assert await store.get_range("assets/a/1/video/0.m4s", 2, 4) == b"23"
    assert await store.sizes("assets/a/") == {"assets/a/1/video/0.m4s": 10}


async def test_a_full_spool_says_so_and_takes_more_when_the_store_is_back(tmp_path: Path) -> None:
    remote, listener = Remote(tmp_path / "remote", away=True), Listener()
    recorder = begin(spooled(remote, tmp_path, budget=4000), listener, budget=1000)
    recorder.fix_target_duration(2)
    for number in range(100):
        recorder.add(segment(number))
    await until(lambda: "RecordingHole" in listener.warnings)
    remote.away = False
    assert await recorder.finish()
    found = await read_recording(remote, REF.id)
    assert found is not None and 2 < len(found.segments) < 100
    numbers = [s.number for s in found.segments]
    holes = [after for before, after in zip(numbers, numbers[1:], strict=False) if after != before + 1]
    assert holes == [s.number for s in found.segments if s.discontinuity]


async def test_what_a_killed_process_left_is_uploaded_by_the_next(tmp_path: Path) -> None:
    remote = Remote(tmp_path / "remote")
    remote.failing = f"/{REF.epoch}/"
    first = spooled(remote, tmp_path)
    recorder = begin(first, Listener())
    recorder.fix_target_duration(2)
    for number in range(7):
        recorder.add(segment(number))
    await until(lambda: len(list((tmp_path / "spool").rglob("manifest/*/*.json"))) == 7)
    recorder._task.cancel()
    first.close()
    await asyncio.sleep(0)

    remote.failing, remote.away = "", True
    again = BroadcastRef(REF.id, REF.epoch + 1)
    second = spooled(remote, tmp_path)
    recording = Recording(again.id, ORIGIN)
    recording.unread = True
    goes_on = Recorder(second, again, recording, Listener())
    goes_on.fix_target_duration(2)
    goes_on.add(segment(0))
    await asyncio.sleep(0.01)
    remote.away = False
    assert await goes_on.finish()
    found = await read_recording(remote, REF.id)
    assert found is not None
    assert [(s.epoch, s.number) for s in found.segments] == [*((3, number) for number in range(7)), (4, 0)]
    assert not files(tmp_path / "spool") and names_nothing_absent(remote.log)


async def test_who_was_replaced_meanwhile_uploads_nothing_more(tmp_path: Path) -> None:
    remote, listener = Remote(tmp_path / "remote", away=True), Listener()
    recorder = begin(spooled(remote, tmp_path), listener)
    recorder.fix_target_duration(2)
    for number in range(5):
        recorder.add(segment(number))
    await until(lambda: len(list((tmp_path / "spool").rglob("*.json"))) == 5)
    other = Remote(tmp_path / "remote")
    assert await other.create(f"assets/{REF.id}/epochs/{REF.epoch + 1}", b"another")
    remote.away = False
    await until(lambda: recorder.taken_over)
    assert not await recorder.finish()
    await until(lambda: not files(tmp_path / "spool"))
    assert not remote.log and listener.warnings[-1] == "RecordingTakenOver"


async def test_a_recorder_that_is_left_for_the_next_epoch_blocks_nobody(tmp_path: Path) -> None:
    """A defect made the packager begin anew while the store was away: both epochs arrive, in one recording."""
    remote, listener = Remote(tmp_path / "remote", away=True), Listener()
    store = spooled(remote, tmp_path)
    first = begin(store, listener)
    first.fix_target_duration(2)
    for number in range(3):
        first.add(segment(number))
    await until(lambda: len(list((tmp_path / "spool").rglob("manifest/*/*.json"))) == 3)
    await first.abandon()
    recording = Recording(REF.id, ORIGIN)
    recording.unread = True
    second = Recorder(store, BroadcastRef(REF.id, REF.epoch + 1), recording, listener)
    second.fix_target_duration(2)
    second.add(segment(0))
    await asyncio.sleep(0.01)
    remote.away = False
    assert await second.finish()
    found = await read_recording(remote, REF.id)
    assert found is not None
    assert [(s.epoch, s.number) for s in found.segments] == [(3, 0), (3, 1), (3, 2), (4, 0)]
    assert "RecordingTakenOver" not in listener.warnings and not files(tmp_path / "spool")


async def test_the_next_epoch_of_the_same_process_has_what_the_one_before_wrote(tmp_path: Path) -> None:
    """They share one recording, and the store was away all the while."""
    remote, listener = Remote(tmp_path / "remote", away=True), Listener()
    store = spooled(remote, tmp_path)
    first = begin(store, listener)
    first.fix_target_duration(2)
    first.add(segment(0))
    first.add(segment(1))
    await first.abandon()
    assert [(s.epoch, s.number) for s in first.recording.segments] == [(3, 0), (3, 1)]
    second = Recorder(store, BroadcastRef(REF.id, REF.epoch + 1), first.recording, listener)
    for init in inits():
        second.add_init(init)
    second.add(segment(0))
    remote.away = False
    assert await second.finish()
    found = await read_recording(remote, REF.id)
    assert found is not None and [(s.epoch, s.number) for s in found.segments] == [(3, 0), (3, 1), (4, 0)]


async def test_what_the_pod_before_uploads_late_is_in_the_recording(tmp_path: Path) -> None:
    """It had to go, and the store was slow: it has some seconds for what waits, and the next pod begins meanwhile."""
    remote, slow = Remote(tmp_path / "remote"), Remote(tmp_path / "remote")
    before = SpooledStore(slow, tmp_path / "before", MEBIBYTE)
    first = begin(before, Listener())
    first.fix_target_duration(2)
    for number in range(2):
        first.add(segment(number))
    await until(lambda: len(first.recording.segments) == 2)
    await before.settled()
    slow.away = True
    first.add(segment(2))
    await until(lambda: before.waiting_bytes > 0)
    await first.abandon()

    recording = Recording(REF.id, ORIGIN)
    recording.unread = True
    second = Recorder(spooled(remote, tmp_path), BroadcastRef(REF.id, REF.epoch + 1), recording, Listener())
    second.fix_target_duration(2)
    second.add(segment(0))
    await until(lambda: len(recording.segments) == 3)
    slow.away = False
    await before.settled()
    assert await second.finish()
    found = await read_recording(remote, REF.id)
    assert found is not None
    assert [(s.epoch, s.number) for s in found.segments] == [(3, 0), (3, 1), (3, 2), (4, 0)]


class Sender:
    def __init__(self) -> None:
        self.wanted, self.told = True, list[str]()

    async def may_send(self) -> bool:
        return self.wanted

    def delayed(self, error: StoreError) -> None:
        self.told.append("delayed")

    def sent(self) -> None:
        self.told.append("sent")


async def test_a_defect_is_tried_again_like_a_failure(tmp_path: Path) -> None:
    class Strange(Sender):
        async def may_send(self) -> bool:
            if not self.told:
                raise ZeroDivisionError
            return True

    remote, sender = Remote(tmp_path / "remote"), Strange()
    store = spooled(remote, tmp_path)
    await store.put("a", b"1")
    store.sync_soon(["a"], sender)
    await store.settled()
    assert remote.log == ["a"] and sender.told == ["delayed", "sent"]


async def test_what_is_not_wanted_any_more_is_dropped(tmp_path: Path) -> None:
    remote, sender = Remote(tmp_path / "remote"), Sender()
    store = spooled(remote, tmp_path)
    sender.wanted = False
    await store.put("a", b"1")
    store.sync_soon(["a"], sender)
    await store.settled()
    assert not remote.log and not files(tmp_path / "spool") and not sender.told


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["segment", "away", "back", "some fail", "wait"]), min_size=3, max_size=30))
def test_whatever_the_store_does(tmp_path_factory: pytest.TempPathFactory, story: list[str]) -> None:
    folder = tmp_path_factory.mktemp("story")

    async def tell() -> None:
        remote = Remote(folder / "remote")
        recorder = begin(spooled(remote, folder), Listener())
        recorder.fix_target_duration(2)
        number = 0
        for step in story:
            if step == "segment":
                recorder.add(segment(number))
                number += 1
            elif step == "wait":
                await asyncio.sleep(0.005)
            remote.away = step == "away" or (remote.away and step != "back")
            remote.failing = "video" if step == "some fail" else "" if step == "back" else remote.failing
        remote.away, remote.failing = False, ""
        assert await recorder.finish()
        assert names_nothing_absent(remote.log)
        found = await read_recording(remote, REF.id)
        assert found is not None and [s.number for s in found.segments] == list(range(number))
        assert not files(folder / "spool")

    asyncio.run(tell())
