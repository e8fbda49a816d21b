"""CPU and memory of N publishers: OnAir beside nginx-rtmp with HLS, and pyrtmp, in one run on one machine.

    .venv/bin/python bench/ingest.py [--publishers 1 10 50] [--chunks 128 4096 60000] [--seconds 12] [--rounds 3]

One 1080p30 stream of about 6 Mbit/s (H.264 with B-frames, AAC) is encoded once and kept in `.cache/bench`. A pusher
process per run connects N times, and sends each message when it is due, as one write or, with `--mtu`, in pieces of 1448
bytes. CPU is the time that the scheduler gave to the server and its children, in percent of one core per stream, over a
window that begins when all publishers are up. Servers take turns inside each round, so that they meet the same weather.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from encoder import load_stream, push
from process import await_port, cpu_seconds, resident_mb
from servers import Nginx, OnAir, Pyrtmp


def main() -> None:
    options = _options()
    tags = load_stream()
    size = sum(len(body) for _, _, body in tags)
    seconds = tags[-1][1] / 1000
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"stream {size * 8 / seconds / 1e6:.2f} Mbit/s; {'1448-byte writes' if options.mtu else 'one write a message'}; "
        f"{options.rounds} rounds of {options.seconds} s\n"
    )
    servers = [s for s in (OnAir(), Nginx(), Pyrtmp()) if s.name in options.servers and s.available()]
    print(
        "| publishers | chunk | "
        + " | ".join(f"{s.name}: CPU %/stream, MB" for s in servers)
        + " | OnAir / nginx-rtmp |"
    )
    print("|---|---|" + "---|" * (len(servers) + 1))
    for count in options.publishers:
        for chunk in options.chunks:
            found: dict[str, list[tuple[float, float]]] = {s.name: [] for s in servers}
            for _ in range(options.rounds):
                for server in servers:
                    if server.name == "pyrtmp" and count > 10:
                        continue  # one core is not enough
                    found[server.name].append(measure(server, count, chunk, options.seconds, mtu=options.mtu))
            print(_row(count, chunk, servers, found), flush=True)


def _row(count: int, chunk: int, servers: list, found: dict[str, list[tuple[float, float]]]) -> str:
    cells = []
    medians = {}
    for server in servers:
        runs = found[server.name]
        if not runs:
            cells.append("–")
            continue
        cpu = sorted(run[0] / count for run in runs)
        medians[server.name] = statistics.median(cpu)
        memory = statistics.median(run[1] for run in runs)
        cells.append(f"{medians[server.name]:.2f} [{cpu[0]:.2f}..{cpu[-1]:.2f}], {memory:.0f}")
    ratio = "–"
    if medians.get("nginx-rtmp"):
        ratio = f"{medians.get('OnAir', 0) / medians['nginx-rtmp']:.2f}"
    return f"| {count} | {chunk} | " + " | ".join(cells) + f" | {ratio} |"


def measure(server, count: int, chunk: int, seconds: float, *, mtu: bool) -> tuple[float, float]:
    """(CPU in % of one core, resident MB) of the server with `count` publishers."""
    with tempfile.TemporaryDirectory(prefix="onair-bench-") as folder:
        process = server.start(Path(folder), count)
        try:
            await_port(server.port)
            command = [
                sys.executable,
                __file__,
                "--push",
                json.dumps(
                    {"port": server.port, "count": count, "chunk": chunk, "mtu": mtu, "keys": server.keys(count)}
                ),
            ]
            pusher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            try:
                assert pusher.stdout is not None
                if pusher.stdout.readline().strip() != "up":
                    raise SystemExit(f"{server.name}: the publishers were not accepted")
                time.sleep(4)  # past the first segments
                before, started = cpu_seconds(process.pid), time.monotonic()
                time.sleep(seconds)
                used, elapsed = cpu_seconds(process.pid) - before, time.monotonic() - started
                if pusher.poll() is not None:
                    raise SystemExit(f"{server.name}: a publisher was cut")
                server.check(Path(folder))
                return used / elapsed * 100, resident_mb(process.pid)
            finally:
                pusher.kill()
                pusher.wait()
        finally:
            process.send_signal(signal.SIGINT if server.name != "pyrtmp" else signal.SIGKILL)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishers", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--chunks", type=int, nargs="+", default=[128, 4096, 60000])
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", nargs="+", default=["OnAir", "nginx-rtmp", "pyrtmp"])
    parser.add_argument("--mtu", action="store_true", help="1448-byte writes, like a network")
    parser.add_argument("--push", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.push:
        wanted = json.loads(options.push)
        push(wanted["port"], wanted["count"], wanted["chunk"], wanted["keys"], mtu=wanted["mtu"])
    return options


if __name__ == "__main__":
    main()
