"""Days of a stream in minutes: memory, playlists and timestamps over thousands of segments.

    .venv/bin/python bench/soak.py [--segments 10000] [--start 4294900000]

One publisher sends a small stream as fast as the server takes it (its limit of messages a second makes that about fifty times
the clock), with timestamps that begin at `--start` milliseconds and wrap where they must. Resident memory is noted every
tenth of the way; it must not grow with the number of segments.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from encoder import encode_small, message, publish, read_flv
from process import resident_mb
from servers import OnAir

# Before this many segments caches and windows still fill up.
WARM = 0.2
MOST_GROWTH = 1.15


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder, server = Path(name), OnAir()
        process = server.start(folder, 1)
        try:
            growth = soak(server, process, options.segments, options.start)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        problems = [
            line for line in (folder / "log").read_text().splitlines() if "Traceback" in line or "defect" in line
        ]
    if problems or growth > MOST_GROWTH:
        sys.exit(f"memory grew by {growth:.2f}; in the log: {problems[:5]}")


def soak(server: OnAir, process: subprocess.Popen[bytes], segments: int, start: int) -> float:
    """Memory at the end against when it was warm."""
    sock = publish(server.port, server.keys(1)[0], 4096)
    stop = threading.Event()
    pusher = threading.Thread(target=_push, args=(sock, start, stop), daemon=True)
    pusher.start()
    print("| segments | media, h | RSS, MB | discontinuities |\n|---|---|---|---|")
    notes: list[tuple[int, float]] = []
    step, began = max(segments // 10, 1), time.monotonic()
    while not notes or notes[-1][0] < segments:
        time.sleep(0.5)
        if not pusher.is_alive():
            raise SystemExit("the server cut the publisher")
        made, discontinuities = _made(server)
        if made >= step * (len(notes) + 1):
            notes.append((made, resident_mb(process.pid)))
            print(f"| {made} | {made * 2 / 3600:.1f} | {notes[-1][1]:.0f} | {discontinuities} |", flush=True)
            if discontinuities:
                raise SystemExit("a stream without interruption has a discontinuity")
    stop.set()
    hours, minutes = notes[-1][0] * 2 / 3600, (time.monotonic() - began) / 60
    warm = next(size for made, size in notes if made >= segments * WARM)
    print(f"\n{hours:.1f} h of media in {minutes:.1f} min; memory at the end / when warm: {notes[-1][1] / warm:.2f}")
    return notes[-1][1] / warm


def _push(sock: object, start: int, stop: threading.Event) -> None:
    tags = read_flv(encode_small())
    period, turn = tags[-1][1] + 33, 0
    sock.settimeout(30)  # type: ignore[attr-defined]
    while not stop.is_set():
        data = bytearray()
        for kind, stamp, body in tags:
            if not (turn and len(body) > 1 and body[1] == 0 and (kind == 8 or body[0] == 0x17)):
                data += message(kind, (start + stamp + turn * period) % 2**32, body, 4096)
        try:
            sock.sendall(data)  # type: ignore[attr-defined]
        except OSError:
            return  # cut, or the server was stopped at the end
        turn += 1


def _made(server: OnAir) -> tuple[int, int]:
    """Segments so far, and discontinuities before the first listed one."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/bench-stream-0/video.m3u8", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0, 0
    sequence, before = (
        int(re.search(rf"#EXT-X-{tag}:(\d+)", text)[1])  # type: ignore[index]
        for tag in ("MEDIA-SEQUENCE", "DISCONTINUITY-SEQUENCE")
    )
    listed = text.count("#EXTINF")
    return sequence % 100_000 + listed, before % 10_000 + text.count("#EXT-X-DISCONTINUITY\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=2**32 - 100_000, help="first timestamp, in milliseconds")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
