"""A disk that runs full: the live stream does not notice, and what happened is told once there is room again."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from encoders import FFmpeg
from service import Service, until
from viewers import decode, following

SIZE_MIB = 48


class SmallDisk:
    """A file system of its own, mounted where the state folder will be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "state"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_does_not_disturb_the_live_stream_and_is_told(
    small_disk: SmallDisk, onair_local: Service, ffmpeg: FFmpeg
) -> None:
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    (asset,) = onair_local.assets("keynote")

    async with following(onair_local.playback_url("keynote")) as followers:
        small_disk.fill()
        onair_local.manifests.stream("keynote", title="Edited while the disk was full")
        await until(lambda: "recording stalled" in onair_local.tail(), "the log says that the recording stalls")
        await until(lambda: "state not written" in onair_local.tail(), "the log says that the edit waits")
        before = {name: len(follower.segments) for name, follower in followers.items()}
        await until(
            lambda: all(len(f.segments) >= before[name] + 3 for name, f in followers.items()), "three more segments"
        )
        small_disk.free()
        await until(lambda: "RecordingResumed" in reasons(onair_local), "the recording goes on")
        await until(lambda: "updated" in onair_local.types("keynote"), "the edit takes effect")

    assert reasons(onair_local).count("RecordingStalled") == 2, "told of the stream and of the asset, once"
    await ffmpeg.stop()
    onair_local.complete("keynote")
    await onair_local.has("keynote", "connected", "active", "warning", "disconnected", "idle")
    assert onair_local.types("keynote").count("connected") == 1
    recording = await decode(asset["status"]["playback"][0]["url"])
    assert recording.complaints == "", "nothing is missing: what waited was written"


def reasons(service: Service) -> list[str]:
    return [event.get("reason", "") for event in service.events("keynote")]
