"""Memory of OnAir when its live windows are full, beside the media that they hold.

    .venv/bin/python bench/memory.py [--publishers 1 10 50] [--minutes 1.5]

Whoever holds 30 s of playlist holds another 30 s of media: segments stay available for as long as a playlist that
listed them may be in use (RFC 8216bis 6.2.2).
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from encoder import Load
from process import await_port, resident_mb
from servers import OnAir

_WINDOW = re.compile(rb"^onair_live_window_bytes\{.*\} (\S+)$", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishers", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--minutes", type=float, default=1.5)
    options = parser.parse_args()
    print("| publishers | idle, MB | full, MB | of it media, MB | the rest, a stream, MB |\n|---|---|---|---|---|")
    for count in options.publishers:
        idle, full, media = measure(count, options.minutes * 60)
        rest = (full - idle - media) / count
        print(f"| {count} | {idle:.0f} | {full:.0f} | {media:.0f} | {rest:.1f} |", flush=True)


def measure(count: int, seconds: float) -> tuple[float, float, float]:
    """Resident before anyone publishes and at the end, and media held, in MB."""
    load, server = Load(count, 4096), OnAir(window_seconds=30)
    with tempfile.TemporaryDirectory(prefix="onair-bench-") as folder:
        process = server.start(Path(folder), count)
        try:
            await_port(server.port)
            idle = resident_mb(process.pid)
            targets = [(server.port, key) for key in server.keys(count)]
            push = [sys.executable, Path(__file__).with_name("ingest.py"), "--push", load.to_json()]
            pusher = subprocess.Popen([*push, "--targets", json.dumps(targets)], stdout=subprocess.DEVNULL)
            try:
                time.sleep(seconds)
                server.check()
                return idle, resident_mb(process.pid), _media_mb(server.http)
            finally:
                pusher.kill()
                pusher.wait()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _media_mb(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return sum(float(found) for found in _WINDOW.findall(answer.read())) / 1e6


if __name__ == "__main__":
    main()
