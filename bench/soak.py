"""Days of a stream in minutes: memory, files, playlists and the recording over thousands of segments.

    .venv/bin/python bench/soak.py [--hours 24 | --segments 14400] [--speed 100] [--viewers 4]

One publisher sends a small stream at a hundred times the clock, recorded, to viewers who look at everything that happens.
Every `--disturb-every` segments it is reset and returns, or its timestamps begin anew or jump by an hour: each must be one
discontinuity of the same asset, and nothing else may be one. Timestamps begin shortly before 2^32 ms, and before 4.66 h.

What must hold: memory grows by no more than the index of the recording; open files and threads do not; media sequence
numbers have no gap; TARGETDURATION stays; a manifest entry is as large at the end as at the beginning; the finished
recording has every segment; nothing in the log is a defect.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from process import resident_mb, wait_for
from servers import OnAir
from soak_encoder import KINDS, SoakEncoder
from soak_viewers import SoakViewer

SEGMENT_SECONDS = 2
PLAYBACK_ID = "bench-stream-0"
# Before this part of the way caches, windows and pools still fill up.
WARM = 0.2
MOST_GROWTH = 1.15
MOST_NEW_FILES = 5
# asyncio's pool begins another thread whenever none of its own is idle, up to this many, and ends none.
MOST_NEW_THREADS = min(32, (os.cpu_count() or 1) + 4)
# The store's pool (obstore's Tokio) begins them as well, and ends those that had nothing to do for ten seconds: at a
# hundred times the clock there are none of those. So its threads are looked at when the load is over.
STORE_THREAD = "tokio-rt-worker"
MOST_IDLE_STORE_THREADS = (os.cpu_count() or 1) + 2
# What one more segment of a recording that is being made costs in memory: its record, and two lines of EVENT playlists.
INDEX_BYTES = 1500
CLASS = """apiVersion: onair.dev/v1alpha1
kind: LiveStreamClass
metadata: {name: soak, annotations: {onair.dev/is-default-class: "true"}}
spec:
  limits: {maxMessagesPerSecond: 100000, throttledTimeoutSeconds: 86400}  # 5000, the default, are 65 times the clock for this stream
  packaging: {liveWindowSeconds: 300}     # three seconds of it
"""


@dataclass(frozen=True)
class Note:
    """Of the server, at some point of the way."""

    segments: int
    resident_mb: float
    files: int
    threads: int
    store_threads: int
    entries: int
    entry_bytes: float
    recorded_mb: float
    event_ms: float

    HEAD = (
        "| segments | media, h | RSS, MB | files | threads | of the store | recorded, MB | bytes/manifest entry | EVENT playlist, ms |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )

    def row(self) -> str:
        hours = self.segments * SEGMENT_SECONDS / 3600
        return (
            f"| {self.segments} | {hours:.1f} | {self.resident_mb:.0f} | {self.files} | {self.threads} | {self.store_threads} "
            f"| {self.recorded_mb:.0f} | {self.entry_bytes:.0f} | {self.event_ms:.0f} |"
        )


class Soak:
    """One run over a server that listens. Raises AssertionError for what must not be."""

    def __init__(
        self, server: OnAir, process: subprocess.Popen[bytes], folder: Path, options: argparse.Namespace
    ) -> None:
        self._server, self._process, self._folder = server, process, folder
        self._segments, self._disturb_every = options.segments, options.disturb_every
        self._encoder = SoakEncoder(server.port, server.keys(1)[0], options.speed)
        self._viewers = [SoakViewer(server.http, PLAYBACK_ID) for _ in range(options.viewers)]
        self._notes: list[Note] = []

    def run(self) -> None:
        began = time.monotonic()
        for thread in (self._encoder, *self._viewers):
            thread.start()
        print(Note.HEAD)
        self._go_the_way()
        minutes = (time.monotonic() - began) / 60
        self._encoder.stop()
        wait_for(self._disconnected, "the end of the connection")
        reloads = [viewer.reloads for viewer in self._viewers]
        wait_for(
            lambda: all(v.reloads > seen + 1 for v, seen in zip(self._viewers, reloads, strict=True)),
            "the last segment",
        )
        wait_for(lambda: len(self._entries()) >= self._viewers[0].segments, "the recording of the last segment")
        for viewer in self._viewers:
            viewer.stop()
        self._report(minutes)
        self._check_viewers()
        self._check_recording()
        self._check_server()

    def _go_the_way(self) -> None:
        """As far as it shall go, with a note every tenth of it."""
        kinds, next_disturbance = itertools.cycle(KINDS), self._disturb_every
        step = max(self._segments // 10, 1)
        while True:
            time.sleep(0.2)
            for thread in (self._encoder, *self._viewers):
                if thread.failure is not None:
                    raise thread.failure
            made = self._viewers[0].segments
            if made >= step * (len(self._notes) + 1):
                self._notes.append(self._note(made))
                print(self._notes[-1].row(), flush=True)
            if made >= self._segments:
                return
            if made >= next_disturbance:
                next_disturbance += self._disturb_every
                self._encoder.disturb(next(kinds))

    def _note(self, made: int) -> Note:
        proc = Path(f"/proc/{self._process.pid}")
        threads = self._threads()
        sizes = [entry.stat().st_size for entry in self._entries()]
        before = self._notes[-1] if self._notes else None
        new = len(sizes) - (before.entries if before else 0)
        total = sum(sizes)
        earlier = sum(note.entry_bytes * count for note, count in self._shares())
        playlist = f"http://127.0.0.1:{self._server.http}/{self._asset_playback_id()}/video.m3u8"
        began = time.monotonic()
        with urllib.request.urlopen(playlist) as answer:
            answer.read()
        event_ms = (time.monotonic() - began) * 1000
        return Note(
            segments=made,
            resident_mb=resident_mb(self._process.pid),
            files=len(list((proc / "fd").iterdir())),
            threads=threads.total() - threads[STORE_THREAD],
            store_threads=threads[STORE_THREAD],
            entries=len(sizes),
            entry_bytes=(total - earlier) / max(new, 1),
            recorded_mb=sum(file.stat().st_size for file in self._asset().rglob("*") if file.is_file()) / 1e6,
            event_ms=event_ms,
        )

    def _threads(self) -> Counter[str]:
        """By name."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/comm")
        return Counter(task.read_text().strip() for task in tasks)

    def _shares(self) -> list[tuple[Note, int]]:
        """Each note, and how many manifest entries were new then."""
        counts = [0, *(note.entries for note in self._notes)]
        return [(note, note.entries - earlier) for note, earlier in zip(self._notes, counts, strict=False)]

    # The recording

    def _asset(self) -> Path:
        """Its folder. There must be one only."""
        (asset,) = (self._folder / "state" / "recordings" / "assets").iterdir()
        return asset

    def _entries(self) -> list[Path]:
        return list(self._asset().glob("manifest/*/*.json"))

    def _asset_playback_id(self) -> str:
        (asset,) = json.loads(self._onair("assets", "-o", "json"))
        return str(asset["status"]["playback"][0]["id"])

    def _disconnected(self) -> bool:
        return not json.loads(self._onair("streams", "bench-0", "-o", "json"))["status"]["connected"]

    def _onair(self, *arguments: str) -> str:
        command = [Path(sys.executable).with_name("onair"), *arguments, "--state-dir", self._folder / "state"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    # What it comes to

    def _report(self, minutes: float) -> None:
        last, hours = self._notes[-1], self._notes[-1].segments * SEGMENT_SECONDS / 3600
        loaded = sum(viewer.segments_loaded for viewer in self._viewers)
        print(
            f"\n{hours:.1f} h of media in {minutes:.1f} min ({hours * 60 / minutes:.0f} times the clock); "
            f"disturbances: {self._encoder.disturbances}; {loaded} segments loaded by {len(self._viewers)} viewers"
        )
        grown = (last.resident_mb - self._warm.resident_mb) * 1e6 / max(last.segments - self._warm.segments, 1)
        print(
            f"memory since it was warm: {grown:.0f} bytes a segment; {last.recorded_mb * 1e3 / last.segments:.1f} KB on disk"
        )

    @property
    def _warm(self) -> Note:
        return next(note for note in self._notes if note.segments >= self._segments * WARM)

    def _check_viewers(self) -> None:
        wanted = sum(self._encoder.disturbances.values())
        for viewer in self._viewers:
            viewer.check()
            for name, follower in viewer.followers.items():
                assert follower.discontinuities == wanted, f"{name}: {follower.discontinuities} discontinuities"
                sequence = follower.discontinuity_of[max(follower.by_number)] % 10_000
                assert sequence == wanted, f"{name}: EXT-X-DISCONTINUITY-SEQUENCE comes to {sequence}"

    def _check_server(self) -> None:
        warm, last = self._warm, self._notes[-1]
        index_mb = (last.segments - warm.segments) * INDEX_BYTES / 1e6
        assert last.resident_mb <= warm.resident_mb * MOST_GROWTH + index_mb, "memory grows"
        assert last.files <= warm.files + MOST_NEW_FILES, "open files grow"
        assert last.threads <= warm.threads + MOST_NEW_THREADS, "threads grow"
        wait_for(
            lambda: self._threads()[STORE_THREAD] <= MOST_IDLE_STORE_THREADS,
            f"an idle server with {MOST_IDLE_STORE_THREADS} threads of the store at most",
        )
        assert last.entry_bytes <= warm.entry_bytes * MOST_GROWTH, "manifest entries grow"

    def _check_recording(self) -> None:
        """Completed, it has every segment, and a discontinuity for each disturbance."""
        began = time.monotonic()
        self._onair("complete", "bench-0")
        wait_for((self._asset() / "asset.json").exists, "asset.json")
        print(f"asset.json and the playlists were written within {time.monotonic() - began:.1f} s")
        segments = json.loads((self._asset() / "asset.json").read_text())["segments"]
        counts = (len(segments), len(self._entries()), self._viewers[0].segments)
        assert len(set(counts)) == 1, f"asset.json, manifest and live playlist have {counts} segments"
        found = sum(segment.get("discontinuity", False) for segment in segments[1:])
        assert found == sum(self._encoder.disturbances.values()), f"{found} discontinuities in the recording"


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="onair-soak-") as name:
        folder, server = Path(name), OnAir(recording=True, default_class=CLASS)
        process = server.start(folder, 1)
        try:
            Soak(server, process, folder, options).run()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
            log = (folder / "log").read_text()
        problems = [line for line in log.splitlines() if "Traceback" in line or "defect" in line or "[error" in line]
        assert not problems, problems[:5]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=14_400)
    parser.add_argument("--hours", type=float, help="of media, instead of --segments")
    parser.add_argument("--speed", type=float, default=100, help="times the clock, as far as the server follows")
    parser.add_argument("--viewers", type=int, default=4)
    parser.add_argument("--disturb-every", type=int, default=1500, help="segments")
    options = parser.parse_args()
    if options.hours:
        options.segments = int(options.hours * 3600 / SEGMENT_SECONDS)
    return options


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
