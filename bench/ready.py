"""Publish → first playable playlist: OnAir beside nginx-rtmp with HLS, with a GOP of 1 s.

    .venv/bin/python bench/ready.py [--rounds 7]

The clock starts when the server has accepted `publish`, and stops when the media playlist lists a segment (nginx-rtmp) or
the stream answers 200 (OnAir: two complete segments).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from encoder import load_stream, message, publish
from process import await_port
from servers import Nginx, OnAir

GOP = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    tags = load_stream(gop=GOP)
    servers = [server for server in (OnAir(), Nginx()) if server.available()]
    found: dict[str, list[float]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            found[server.name].append(measure(server, tags))
    print("| server | publish → playable, s: median [min..max] |\n|---|---|")
    for name, times in found.items():
        print(f"| {name} | {statistics.median(times):.2f} [{min(times):.2f}..{max(times):.2f}] |")


def measure(server, tags: list[tuple[int, int, bytes]]) -> float:
    with tempfile.TemporaryDirectory(prefix="onair-bench-") as folder:
        process = server.start(Path(folder), 1)
        try:
            await_port(server.port)
            sock = publish(server.port, server.keys(1)[0], 4096)
            started = time.monotonic()
            stop = threading.Event()
            pusher = threading.Thread(target=send, args=(sock, tags, started, stop))
            pusher.start()
            try:
                while not playable(server, Path(folder)):
                    if time.monotonic() - started > 30:
                        raise SystemExit(f"{server.name} did not become playable")
                    time.sleep(0.01)
                return time.monotonic() - started
            finally:
                stop.set()
                pusher.join()
                sock.close()
        finally:
            process.terminate()
            process.wait(20)


def send(sock, tags: list[tuple[int, int, bytes]], started: float, stop: threading.Event) -> None:
    for kind, stamp, body in tags:
        if stop.wait(max(0.0, started + stamp / 1000 - time.monotonic())):
            return
        sock.sendall(message(kind, stamp, body, 4096))


def playable(server, folder: Path) -> bool:
    if server.name == "OnAir":
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/bench-stream-0.m3u8", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False
    playlist = folder / "hls" / "stream0.m3u8"
    return playlist.exists() and "#EXTINF" in playlist.read_text()


if __name__ == "__main__":
    main()
