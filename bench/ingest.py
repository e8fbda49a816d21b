"""CPU and memory of N publishers: OnAir beside nginx-rtmp with HLS, and pyrtmp, in one run on one machine.

    .venv/bin/python bench/ingest.py [--publishers 1 10 50 200] [--chunks 128 4096 60000] [--seconds 12] [--rounds 3]
                                     [--mtu] [--tls] [--processes]

One 1080p30 stream of about 6 Mbit/s (H.264 with B-frames, AAC), for more than 100 publishers one of 2.5 Mbit/s, is
encoded once and kept in `.cache/bench`. A pusher process per run connects N times, and sends each message when it is due,
as one write or, with `--mtu`, in pieces of 1448 bytes. CPU is what the scheduler gave to the servers and their children,
in percent of one core per stream, from when the first segments have left the live window. Servers take turns inside
each round, so that they meet the same weather.

`--processes`: a server of its own for each publisher, as pods are (`onair ingest` instead of `onair local`). `--tls`: RTMPS; nginx ends the TLS in front of its
RTMP module, in the same worker.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from encoder import Load, load_stream, push
from process import await_port, cpu_seconds, resident_mb
from servers import WINDOW_SECONDS, Nginx, OnAir, OnAirPod, Pyrtmp, Server

SERVERS: dict[str, type[Server]] = {server.name: server for server in (OnAir, Nginx, Pyrtmp)}
# pyrtmp takes about 3 % of a core for one stream at best.
MOST_FOR_PYRTMP = 10
# Until then segments only come, and none goes: the first touch of memory costs more than what is put there (fifty processes:
# 0.45 % of a core each until here, 0.24 % after), and a day of streaming is what comes after.
WARM_SECONDS = 4 * WINDOW_SECONDS


@dataclass(frozen=True)
class Result:
    """CPU in percent of one core per stream; memory in MB of all processes."""

    cpu: float
    memory: float


def main() -> None:
    options = _options()
    names = [name for name in options.servers if SERVERS[name]().available(tls=options.tls)]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{'1448-byte writes' if options.mtu else 'one write a message'}{', TLS' if options.tls else ''}"
        f"{', a process for each publisher' if options.processes else ''}; "
        f"{options.rounds} rounds of {options.seconds} s\n"
    )
    print(
        "| publishers, Mbit/s | chunk | "
        + " | ".join(f"{name}: CPU %/stream, MB" for name in names)
        + " | OnAir / nginx-rtmp |"
    )
    print("|---|---|" + "---|" * (len(names) + 1))
    for count in options.publishers:
        for chunk in options.chunks:
            load = Load(count, chunk, mtu=options.mtu, tls=options.tls)
            found: dict[str, list[Result]] = {name: [] for name in names}
            for _ in range(options.rounds):
                for name in names:
                    if name != "pyrtmp" or count <= MOST_FOR_PYRTMP:
                        found[name].append(measure(name, load, options.seconds, processes=options.processes))
            print(_row(load, found), flush=True)


def _row(load: Load, found: dict[str, list[Result]]) -> str:
    cells, medians = [], {}
    for name, results in found.items():
        if not results:
            cells.append("–")
            continue
        cpu = sorted(result.cpu for result in results)
        medians[name] = statistics.median(cpu)
        memory = statistics.median(result.memory for result in results)
        cells.append(f"{medians[name]:.2f} [{cpu[0]:.2f}..{cpu[-1]:.2f}], {memory:.0f}")
    pair = medians.get("OnAir"), medians.get("nginx-rtmp")
    ratio = f"{pair[0] / pair[1]:.2f}" if pair[0] and pair[1] else "–"
    tags = load_stream(load.kilobits)
    rate = sum(len(body) for _, _, body in tags) * 8 / tags[-1][1] / 1000
    return f"| {load.count} × {rate:.1f} | {load.chunk} | " + " | ".join(cells) + f" | {ratio} |"


def measure(name: str, load: Load, seconds: float, *, processes: bool) -> Result:
    with (
        tempfile.TemporaryDirectory(prefix="onair-bench-") as folder,
        _started(name, load, Path(folder), processes) as (
            servers,
            pids,
            targets,
        ),
    ):
        command = [sys.executable, __file__, "--push", load.to_json(), "--targets", json.dumps(targets)]
        pusher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert pusher.stdout is not None
            if pusher.stdout.readline().strip() != "up":
                raise SystemExit(f"{name}: the publishers were not accepted")
            time.sleep(WARM_SECONDS)
            before, started = sum(map(cpu_seconds, pids)), time.monotonic()
            time.sleep(seconds)
            used, elapsed = sum(map(cpu_seconds, pids)) - before, time.monotonic() - started
            if pusher.poll() is not None:
                raise SystemExit(f"{name}: a publisher was cut")
            for server in servers:
                server.check()
            return Result(used / elapsed * 100 / load.count, sum(map(resident_mb, pids)))
        finally:
            pusher.kill()
            pusher.wait()


@contextmanager
def _started(
    name: str, load: Load, folder: Path, processes: bool
) -> Iterator[tuple[list[Server], list[int], list[tuple[int, str]]]]:
    """The servers, their process ids, and (port, key) of each publisher."""
    servers: list[Server] = []
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(load.count if processes else 1):
            own = folder / str(number)
            own.mkdir()
            folder.chmod(0o755)
            own.chmod(0o755)
            servers.append(OnAirPod() if processes and name == OnAirPod.name else SERVERS[name]())
            running.append(servers[-1].start(own, 1 if processes else load.count, tls=load.tls))
            await_port(servers[-1].port)
        each = 1 if processes else load.count
        targets = [(server.port, key) for server in servers for key in server.keys(each)]
        yield servers, [process.pid for process in running], targets
    finally:
        for process in running:
            process.send_signal(signal.SIGINT if name != "pyrtmp" else signal.SIGKILL)
        for process in running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishers", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--chunks", type=int, nargs="+", default=[128, 4096, 60000])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=list(SERVERS))
    parser.add_argument("--mtu", action="store_true", help="1448-byte writes, like a network")
    parser.add_argument("--tls", action="store_true", help="RTMPS")
    parser.add_argument("--processes", action="store_true", help="a server of its own for each publisher")
    parser.add_argument("--push", help=argparse.SUPPRESS)
    parser.add_argument("--targets", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.push:
        push(Load.from_json(options.push), json.loads(options.targets))
    return options


if __name__ == "__main__":
    main()
