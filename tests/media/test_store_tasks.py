"""`onair store`: what people and Jobs do with recordings that have no pod."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from recording_parts import REF, VIDEO, Listener, begin, segment, until

from onair_media.cmaf import InitSegment
from onair_media.store import ObjectStore, open_store
from onair_media.tasks.commands import store as store_command
from onair_media.tasks.export import _Source
from onair_media.tasks.work import Refused, check
from s3_server import S3Server


def run(s3: S3Server, verb: str, *args: str) -> Result:
    given = [verb, s3.settings.url, "--endpoint", s3.endpoint, "--region", "us-east-1", *args]
    return CliRunner().invoke(store_command, given, env=s3.credentials)


async def leave_unfinished(store: ObjectStore, segments: int = 5) -> None:
    """As a pod does that is gone for good."""
    recorder = begin(store, Listener())
    recorder.fix_target_duration(2)
    for number in range(segments):
        recorder.add(segment(number))
    await until(lambda: len(recorder.recording.segments) == segments)
    recorder._task.cancel()


def test_a_store_is_looked_at_by_doing_what_recordings_do(s3: S3Server, tmp_path: Path) -> None:
    told = tmp_path / "message"
    done = run(s3, "check", "--message", str(told))
    assert (done.exit_code, done.output) == (0, "s3://recordings/onair can be recorded to.\n")
    assert told.read_text() == done.output and s3.objects == []
    wrong = CliRunner().invoke(
        store_command,
        ["check", s3.settings.url, "--endpoint", s3.endpoint],
        env={**s3.credentials, "AWS_SECRET_ACCESS_KEY": "x"},
    )
    assert wrong.exit_code == 1 and "403 Forbidden" in wrong.output
    absent = CliRunner().invoke(store_command, ["check", "s3://nobody", "--endpoint", s3.endpoint], env=s3.credentials)
    assert absent.exit_code == 1 and "s3://nobody: " in absent.output
    s3.stop()
    away = run(s3, "check", "--message", str(told))
    assert away.exit_code == 1 and "error sending request" in told.read_text()


async def test_a_server_that_lets_anybody_replace_anything_is_found_out(tmp_path: Path) -> None:
    class Careless(ObjectStore):
        async def create(self, path: str, data: bytes) -> bool:
            await self.put(path, data)
            return True

    careless = Careless(open_store(f"file://{tmp_path}")._store)
    with pytest.raises(Refused, match="second writer"):
        await check(careless)
    await check(open_store(f"file://{tmp_path}"))
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_recording_whose_pod_is_gone_is_finished_and_deleted(s3: S3Server) -> None:
    opened = open_store(s3.settings.url, endpoint=s3.endpoint, region="us-east-1", credentials=s3.credentials)
    asyncio.run(leave_unfinished(opened))
    assert f"assets/{REF.id}/asset.json" not in s3.objects
    other = run(s3, "finish", REF.id, "--namespace", "other")
    assert other.exit_code == 1 and "a recording of namespace default" in other.output
    done = run(s3, "finish", REF.id, "--namespace", "default")
    assert done.output == f"{REF.id} is complete: 10.0 s in 5 segments.\n" and done.exit_code == 0
    assert f"assets/{REF.id}/index.m3u8" in s3.objects
    assert run(s3, "finish", REF.id).output == done.output, "again is the same"

    assert run(s3, "delete", REF.id, "--yes", "--namespace", "other").exit_code == 1 and s3.objects
    assert run(s3, "delete", REF.id).exit_code == 1 and s3.objects, "nobody said yes"
    gone = run(s3, "delete", REF.id, "--yes", "--namespace", "default")
    assert gone.exit_code == 0 and "is deleted" in gone.output and s3.objects == []
    assert run(s3, "delete", REF.id, "--yes").output == f"There is nothing of {REF.id}.\n"


@pytest.mark.parametrize("name", ["..", "a/b", "."])
def test_only_a_recording_is_deleted(s3: S3Server, name: str) -> None:
    opened = open_store(s3.settings.url, endpoint=s3.endpoint, region="us-east-1", credentials=s3.credentials)
    asyncio.run(opened.put("assets/a/b/c", b"1"))
    assert run(s3, "delete", name, "--yes").exit_code == 1 and s3.objects == ["assets/a/b/c"]


async def test_what_one_mp4_cannot_hold_is_said_and_leaves_no_file(tmp_path: Path) -> None:
    """The encoder came back with another resolution: that is another init segment."""
    opened = open_store(f"file://{tmp_path}/store")
    recorder = begin(opened, Listener())
    recorder.fix_target_duration(2)
    for number in range(3):
        recorder.add(segment(number))
    recorder.add_init(InitSegment("video", 1, b"another video init", VIDEO))
    later = segment(3)
    later.tracks["video"] = replace(later.tracks["video"], init=1)
    recorder.add(later)
    assert await recorder.finish()

    def fetch(path: str) -> bytes:
        return (tmp_path / "store" / "assets" / path).read_bytes()

    with pytest.raises(Refused, match="its video is another one from 0:06 on"):
        list(_Source._read(recorder.recording, "video", fetch))
    assert len(list(_Source._read(recorder.recording, "audio", fetch))) == 5


def test_an_export_of_nothing_says_so(s3: S3Server, tmp_path: Path) -> None:
    done = run(s3, "export", "no-such-asset", str(tmp_path / "a.mp4"))
    assert done.exit_code == 1 and "there is nothing of a recording no-such-asset" in done.output
    nowhere = run(s3, "export", "no-such-asset", str(tmp_path / "b" / "a.mp4"))
    assert nowhere.exit_code == 2 and "there is no folder" in nowhere.output and not list(tmp_path.rglob("*.mp4"))
