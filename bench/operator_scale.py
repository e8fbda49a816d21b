"""One operator and many LiveStreams, on a real API server and pods of kwok's.

    python bench/operator_scale.py [--streams 100 500 1000 2000 5000] [--idle 60] [--keep FOLDER]

Each number of streams gets etcd, API server, Kubernetes' controllers and scheduler, kwok and the operator anew; all pods'
control ports are played by one process. Nothing needs root where users may make network namespaces.

(It cannot be called operator.py: everything that is started from this folder would take it for Python's module.)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "cluster"))

import operator_cluster
import uvloop
from operator_cluster import Cluster, Operator
from operator_streams import Streams, keys
from operator_writes import Writes

from onair_core.kube.client import Client
from onair_core.kube.kubeconfig import Kubeconfig

EDITS = 100
SETTLING_SECONDS = 5.0
COLUMNS = (
    "LiveStreams",
    "all Ready, s",
    "Ready a second",
    "edit → observed, ms: p50, p95, p99",
    "edit → pod, ms: p50, p95, p99",
    "writes a create",
    "writes idle",
    "restart → all known, all caught up, s",
    "writes of the restart",
    "RSS: peak, settled, after the restart, MiB",
    "CPU: create, restart, idle a minute, s",
    "all deleted, s",
)


@dataclass
class Figures:
    """Of one number of streams. `notes` are for whoever reads the run."""

    cells: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, cell: str, note: str = "") -> None:
        self.cells.append(cell)
        self.note(note or cell)

    def note(self, text: str) -> None:
        self.notes.append(text)
        print(f"    {text}", file=sys.stderr, flush=True)


class Measurement:
    """Of one operator after another on one cluster."""

    def __init__(self, cluster: Cluster, client: Client, streams: Streams, count: int, idle: float) -> None:
        self._cluster, self._client, self._streams = cluster, client, streams
        self._keys = keys(count)
        self._idle = idle
        self._writes = Writes(cluster.plane.site.audit_log, cluster.access.user)
        self.figures = Figures()

    async def run(self) -> Figures:
        figures = self.figures
        with self._cluster.operator() as first:
            first.until_it_said("everything is known")
            await asyncio.sleep(1.0)  # its own class's status
            self._writes.since()
            await self._create(first)
            peak = first.memory[1]
            created = first.cpu
            await asyncio.sleep(SETTLING_SECONDS)
            late = self._writes.since()
            figures.note(f"{SETTLING_SECONDS:.0f} s afterwards: {_told(late) or 'no more writes'}")
            self._per_create(late)
            idle, idle_cpu = await self._rest(first)
            settled = first.memory[0]
            edits = await self._edit()
            figures.note(f"writes of {EDITS} edits: {_told(self._writes.since())}")
            self._troubles(first)
            figures.note(f"it stopped in {first.end():.1f} s")
        self._writes.since()
        with self._cluster.operator() as second:
            known = second.until_it_said("everything is known")
            self._until_followed()
            caught_up = second.until_it_rests(len(self._keys))
            restarted = second.cpu
            await asyncio.sleep(SETTLING_SECONDS)
            again = self._writes.since()
            after = second.memory
            figures.note(
                f"restart: all known after {known:.1f} s, all pods followed and nothing to do {caught_up:.1f} s"
            )
            figures.note(f"after the restart: {after[0]:.0f} MiB, at most {after[1]:.0f}")
            gone = await self._delete()
            figures.note(f"writes of deleting all: {_told(self._writes.since()) or 'none'}")
            await asyncio.sleep(2.0)
            figures.note(f"memory with nothing left: {second.memory[0]:.0f} MiB; pods: {self._pods()}")
            self._troubles(second)
        figures.cells += [
            *edits,
            f"{self._written / len(self._keys):.2f}",
            _told(idle) or "0",
            f"{known:.1f}, {caught_up:.1f}",
            _told(again) or "0",
            f"{peak:.0f}, {settled:.0f}, {after[0]:.0f}",
            f"{created:.0f}, {restarted:.1f}, {idle_cpu:.1f}",
            f"{gone:.0f}",
        ]
        return figures

    async def _create(self, operator: Operator) -> None:
        count, spent, began = len(self._keys), self._cluster.cpu(), time.monotonic()
        await self._streams.create(self._keys)
        taken = time.monotonic() - began
        await self._streams.until("all are Ready", lambda: self._streams.ready >= count, 1200.0)
        seconds = self._streams.last_ready - began
        self.figures.note(f"{count} created in {taken:.1f} s, Ready in {seconds:.1f} s")
        others = {name: used - spent.get(name, 0.0) for name, used in self._cluster.cpu().items()}
        told = ", ".join(f"{name} {used:.0f}" for name, used in sorted(others.items(), key=lambda each: -each[1]))
        self.figures.note(f"CPU seconds meanwhile: operator {operator.cpu:.1f}; {told}")
        self.figures.cells += [str(count), f"{seconds:.1f}", f"{count / seconds:.0f}"]
        self._until_followed()
        rested = operator.until_it_rests(count) + operator.began - began
        self.figures.note(f"all pods followed and nothing to do after {rested:.1f} s")
        self._made = self._writes.since()

    def _until_followed(self) -> None:
        """So says who does not take the operator's time."""
        while self._cluster.report()["following"] < len(self._keys):
            time.sleep(0.1)

    def _per_create(self, late: Counter[str]) -> None:
        made, count = self._made + late, len(self._keys)
        self._written = made.total()
        each = ", ".join(f"{what} {number / count:.2f}" for what, number in sorted(made.items()))
        self.figures.note(f"writes a create: {each}")

    async def _rest(self, operator: Operator) -> tuple[Counter[str], float]:
        before = operator.cpu
        await asyncio.sleep(self._idle)
        spent = (operator.cpu - before) * 60 / self._idle
        found = self._writes.since()
        self.figures.note(f"{self._idle:.0f} s idle: {_told(found) or 'no writes'}, {spent:.1f} s CPU a minute")
        return found, spent

    async def _edit(self) -> list[str]:
        chance = random.Random(1)
        observed, began = [], {}
        for number in range(EDITS):
            key, title = chance.choice(self._keys), f"Edited {number}"
            asked, seen = await self._streams.edit(key, title)
            began[key.name] = (title, asked)
            observed.append(seen - asked)
        told = self._cluster.report()["titles"]
        missing = [name for name, (title, _) in began.items() if told.get(name, ("", 0))[0] != title]
        if missing:
            raise SystemExit(f"pods have not heard of the edits of {missing}")
        heard = [told[name][1] - when for name, (_, when) in began.items()]
        self.figures.note(f"edits: observed {_percentiles(observed)}, at the pod {_percentiles(heard)}")
        return [_percentiles(observed), _percentiles(heard)]

    async def _delete(self) -> float:
        began = time.monotonic()
        await self._streams.delete(self._keys)
        taken = time.monotonic() - began
        await self._streams.until("all are deleted", lambda: not self._streams.known, 600.0)
        while any((left := await self._streams.children()).values()):
            if time.monotonic() - began > 1200:
                raise SystemExit(f"children stay: {left}")
            await asyncio.sleep(1.0)
        seconds = time.monotonic() - began
        self.figures.note(f"deleted in {taken:.1f} s, no children after {seconds:.1f} s")
        return seconds

    def _pods(self) -> str:
        return ", ".join(f"{what} {number}" for what, number in self._cluster.report().items() if what != "titles")

    def _troubles(self, operator: Operator) -> None:
        found = operator.troubles()
        for line in found[:5]:
            self.figures.note(f"it warned: {line[:300]}")
        if found[5:]:
            self.figures.note(f"… and {len(found) - 5} times more")


def _told(writes: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(writes.items()))


def _percentiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return ", ".join(f"{cuts[at - 1] * 1000:.0f}" for at in (50, 95, 99))


async def measure(cluster: Cluster, count: int, idle: float) -> Figures:
    async with Client(Kubeconfig((cluster.plane.kubeconfig,)), agent="onair-bench") as client:
        streams = Streams(client)
        watching = asyncio.create_task(streams.run())
        try:
            return await Measurement(cluster, client, streams, count, idle).run()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[100, 500, 1000, 2000, 5000])
    parser.add_argument(
        "--idle", type=float, default=60.0, help="seconds of watching an operator that has nothing to do"
    )
    parser.add_argument("--keep", type=Path, help="a folder for the logs of the last number of streams")
    given = parser.parse_args()
    operator_cluster.enter_network()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # folders are removed then, too
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)
    rows = []
    for count in given.streams:
        print(f"{count} LiveStreams", file=sys.stderr, flush=True)
        folder = Path(tempfile.mkdtemp(prefix="onair-bench-"))
        try:
            with operator_cluster.running(folder) as cluster:
                for namespace in sorted({key.namespace for key in keys(count)}):
                    cluster.plane.namespace(namespace)
                rows.append(uvloop.run(measure(cluster, count, given.idle)).cells)
        finally:
            if given.keep is not None:
                shutil.rmtree(given.keep, ignore_errors=True)
                shutil.copytree(folder, given.keep, ignore=shutil.ignore_patterns("etcd"))
            shutil.rmtree(folder, ignore_errors=True)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
