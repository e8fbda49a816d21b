"""What recording costs: the CPU of publishers that are kept nowhere, in a folder, and in an S3 server, in turns.

    .venv/bin/python bench/recording.py [--publishers 1 10] [--seconds 12] [--rounds 2]

The stream is that of `ingest.py`, packaged by `onair local`. CPU is that of OnAir's process alone, in percent of one core for
each stream, from 40 s after the start on; the S3 server (versitygw, a process beside it on the same disk) is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "cluster")]

from encoder import Load  # noqa: E402
from ingest import WARM_SECONDS  # noqa: E402
from process import await_port, cpu_seconds, resident_mb  # noqa: E402
from servers import WINDOW_SECONDS, OnAir  # noqa: E402

from kubelab import binaries  # noqa: E402
from s3_server import S3Server  # noqa: E402

KINDS = ("nowhere", "a folder", "S3")
_CLASS = """apiVersion: onair.dev/v1alpha1
kind: LiveStreamClass
metadata: {{name: bench, annotations: {{onair.dev/is-default-class: "true"}}}}
spec:
  packaging: {{liveWindowSeconds: {window}}}
  store: {{url: "{url}"{more}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: recordings}}
stringData: {secret}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishers", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores; {options.rounds} rounds of {options.seconds} s\n")
    print(
        "| publishers | " + " | ".join(f"kept {kind}: CPU %/stream, MB" for kind in KINDS) + " | folder, S3 / nowhere |"
    )
    print("|---|" + "---|" * (len(KINDS) + 1))
    for count in options.publishers:
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        for _ in range(options.rounds):
            for kind in KINDS:
                found[kind].append(_measure(kind, count, options.seconds))
        cpu = {kind: statistics.median(each for each, _ in results) for kind, results in found.items()}
        memory = {kind: statistics.median(each for _, each in results) for kind, results in found.items()}
        spread = {kind: sorted(each for each, _ in results) for kind, results in found.items()}
        cells = [f"{cpu[k]:.2f} [{spread[k][0]:.2f}..{spread[k][-1]:.2f}], {memory[k]:.0f}" for k in KINDS]
        ratios = ", ".join(f"{cpu[kind] / cpu['nowhere']:.2f}" for kind in KINDS[1:])
        print(f"| {count} | " + " | ".join(cells) + f" | {ratios} |", flush=True)


def _measure(kind: str, count: int, seconds: float) -> tuple[float, float]:
    """CPU in percent of a core per stream, and MB."""
    load = Load(count, 4096)
    with tempfile.TemporaryDirectory(prefix="onair-bench-") as name, _server(kind, Path(name)) as server:
        folder = Path(name)
        running = server.start(folder, count)
        await_port(server.port)
        targets = [(server.port, key) for key in server.keys(count)]
        command = [sys.executable, str(ROOT / "bench" / "ingest.py"), "--push", load.to_json()]
        pusher = subprocess.Popen([*command, "--targets", json.dumps(targets)], stdout=subprocess.PIPE, text=True)
        try:
            assert pusher.stdout is not None
            if pusher.stdout.readline().strip() != "up":
                raise SystemExit("the publishers were not accepted")
            time.sleep(WARM_SECONDS)
            before, began = cpu_seconds(running.pid), time.monotonic()
            time.sleep(seconds)
            used = (cpu_seconds(running.pid) - before) / (time.monotonic() - began)
            server.check()
            if kind != "nowhere" and not any(folder.rglob("manifest/*/*.json")):
                raise SystemExit(f"nothing was kept in {kind}")
            return used * 100 / count, resident_mb(running.pid)
        finally:
            for process in (pusher, running):
                process.kill()
                process.wait()


@contextmanager
def _server(kind: str, folder: Path) -> Iterator[OnAir]:
    if kind == "nowhere":
        yield OnAir()
        return
    if kind == "a folder":
        store = f"file://{folder}/kept"
        yield OnAir(
            recording=True, default_class=_CLASS.format(window=WINDOW_SECONDS, url=store, more="", secret="{a: b}")
        )
        return
    s3 = S3Server(binaries.path("versitygw"), folder / "s3")
    s3.start()
    more = f', endpoint: "{s3.endpoint}", region: us-east-1, secretRef: {{name: recordings}}'
    secret = json.dumps(s3.credentials)
    try:
        made = _CLASS.format(window=WINDOW_SECONDS, url=s3.settings.url, more=more, secret=secret)
        yield OnAir(recording=True, default_class=made)
    finally:
        s3.stop()


if __name__ == "__main__":
    main()
