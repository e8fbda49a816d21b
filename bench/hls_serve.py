"""HLS from memory on one core against nginx serving the same bytes as files: `python bench/hls_serve.py [SECONDS]`.

Both get CPU 0 and `wrk` CPU 1, one after the other, three rounds; the median of each is printed. Needs `nginx`, `wrk`
and `taskset`, and a machine with at least two free cores.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

SEGMENT_SIZES = {"segment 250 KB": 250_000, "segment 1.5 MB": 1_500_000}
CONNECTIONS = 32
ROUNDS = 3
PLAYBACK_ID = "keynote-2026"


@dataclass(frozen=True)
class Result:
    requests: float
    megabytes: float


def main(seconds: int) -> None:
    missing = [tool for tool in ("nginx", "wrk", "taskset") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with onair() as (port, plain):
            paths = addresses()
            copy(port, paths, Path(folder) / "www")
            targets = {"OnAir": port, "aiohttp alone": plain}
            with nginx(Path(folder)) as nginx_port:
                targets["nginx"] = nginx_port
                report(measure(targets, paths, seconds))


def measure(targets: dict[str, int], paths: dict[str, str], seconds: int) -> dict[tuple[str, str], Result]:
    runs: dict[tuple[str, str], list[Result]] = {}
    for _ in range(ROUNDS):
        for what, path in paths.items():
            for who, port in targets.items():
                runs.setdefault((what, who), []).append(wrk(f"http://127.0.0.1:{port}{path}", seconds))
    return {
        key: Result(median(run.requests for run in found), median(run.megabytes for run in found))
        for key, found in runs.items()
    }


def report(results: dict[tuple[str, str], Result]) -> None:
    print("| one core | OnAir | OnAir by aiohttp alone | nginx | share of nginx |\n|---|---|---|---|---|")
    for what in dict.fromkeys(what for what, _ in results):
        found = [results[what, who] for who in ("OnAir", "aiohttp alone", "nginx")]
        cells = [f"{one.requests:,.0f}/s, {one.megabytes:,.0f} MB/s" for one in found]
        print(f"| {what} | {' | '.join(cells)} | {found[0].requests / found[2].requests:.0%} |")


def wrk(url: str, seconds: int) -> Result:
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(text)
    requests = float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])
    number, unit = re.findall(r"Transfer/sec:\s+([\d.]+)([KMG]B)", text)[0]
    return Result(requests, float(number) * {"KB": 1 / 1024, "MB": 1, "GB": 1024}[unit] * 1.048576)


@contextmanager
def onair() -> Iterator[tuple[int, int]]:
    """The ports of the short way, and of aiohttp alone."""
    command = ["taskset", "-c", "0", sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            express, plain = process.stdout.readline().split()
            yield int(express), int(plain)
        finally:
            process.send_signal(signal.SIGTERM)


def addresses() -> dict[str, str]:
    base = f"/{PLAYBACK_ID}"
    media = [f"{base}/bench/1/{name}/0.m4s" for name in ("video", "audio")]
    return {
        "multivariant playlist": f"{base}.m3u8",
        "media playlist": f"{base}/video.m3u8",
        **dict(zip(SEGMENT_SIZES, media, strict=True)),
    }


def copy(port: int, paths: dict[str, str], root: Path) -> None:
    """Give nginx the very bytes that OnAir serves."""
    for path in paths.values():
        file = root / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["curl", "-sf", "-o", str(file), f"http://127.0.0.1:{port}{path}"], check=True)


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"""worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=100;
            types {{ application/vnd.apple.mpegurl m3u8; video/mp4 m4s; }}
            {temporary}
            server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
        }}"""
    )
    command = ["taskset", "-c", "0", "nginx", "-c", str(config), "-e", f"{folder}/error.log"]
    with subprocess.Popen(command) as process:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        try:
            yield port
        finally:
            process.send_signal(signal.SIGTERM)


def serve() -> None:
    """The server under test: the routes as every part of OnAir serves them, on uvloop."""
    import uvloop
    from aiohttp import web

    from onair_core.contract import BroadcastRef
    from onair_media.cmaf.model import InitSegment, Segment, TrackInfo, TrackSegment
    from onair_media.hls import LiveWindow
    from onair_media.playback import LivePlayable, PlaybackMetrics, PlaybackServer, add_routes

    window = LiveWindow(30)
    window.begin(BroadcastRef(id="bench", epoch=1), target_duration=2)
    tracks = {
        "video": TrackInfo("video", "avc1.64001f", width=1920, height=1080, frame_rate=30),
        "audio": TrackInfo("audio", "mp4a.40.2", channels=2, sample_rate=48000),
    }
    for name, info in tracks.items():
        window.add_init(InitSegment(name, 0, b"init", info))
    small, large = SEGMENT_SIZES.values()
    bodies = {"video": os.urandom(small), "audio": os.urandom(large)}
    for number in range(15):
        made = {
            name: TrackSegment(0, 2.0 * number, 2.0, 1_790_000_000 + 2.0 * number, body, ())
            for name, body in bodies.items()
        }
        window.add_segment(Segment(number, False, made))
    playable = LivePlayable(window)

    class Channel:
        def at_hand(self, playback_id: str) -> LivePlayable | None:
            return playable if playback_id == PLAYBACK_ID else None

        async def lookup(self, playback_id: str) -> LivePlayable | None:
            return self.at_hand(playback_id)

        def title(self, playback_id: str) -> str | None:
            return "bench" if playback_id == PLAYBACK_ID else None

    async def run() -> None:
        app = web.Application()
        metrics = PlaybackMetrics()
        add_routes(app, Channel(), metrics)
        runner = web.AppRunner(app, access_log=None, handle_signals=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server = PlaybackServer(runner, Channel().at_hand, metrics)
        print(await server.listen("127.0.0.1", 0), runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    uvloop.run(run())


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
