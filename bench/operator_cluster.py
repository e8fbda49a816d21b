"""A control plane without nodes in a network of its own, pods of kwok's, their control ports, and one operator.

The network is a namespace in which all addresses of pods are this machine's: nothing of the machine changes, and no
port of it is taken. Its interfaces go with the last process in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from process import cpu_seconds, have

PROJECT = Path(__file__).resolve().parents[1]
INSTALLATION = "onair-system"
PODS = "198.18.0.0/15"  # RFC 2544: for benchmarks. Endpoints may not be loopback addresses.
PORTS = (6443, 2379, 2380)
CONTROL, REPORT, OPERATOR = ("0.0.0.0", 9090), ("127.0.0.1", 9099), ("127.0.0.1", 8080)
INSIDE = "ONAIR_BENCH_NETWORK"
# Kubernetes' controllers and scheduler ask for 20 and 50 things a second, to spare API servers. 25 000 children of 5 000
# streams would be deleted in twenty minutes.
UNHURRIED = 2000


def enter_network() -> None:
    """This program once more, in a network of its own; returns there."""
    if INSIDE not in os.environ:
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        command = ["unshare", *as_root, "--net", sys.executable, *sys.argv]
        tried = subprocess.run([*command[: -len(sys.argv) - 1], "ip", "link"], capture_output=True, check=False)
        if not have(tried.returncode == 0, "network namespaces (unshare, ip)"):
            raise SystemExit(0)
        os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})
    for words in ("link set lo up", f"route replace local {PODS} dev lo"):
        subprocess.run(["ip", *words.split()], check=True)


@dataclass
class Cluster:
    """`plane`: a `kubelab.nodeless.ControlPlane`; `access`: the operator's."""

    plane: object
    access: object
    folder: Path
    fleet: subprocess.Popen | None = None
    operators: int = 0

    def report(self) -> dict:
        """What the pods say."""
        with socket.create_connection(REPORT, timeout=20) as asked:
            return json.loads(b"".join(iter(lambda: asked.recv(1 << 16), b"")))

    def cpu(self) -> dict[str, float]:
        """Seconds of everything but the operator, so far."""
        found = {process.name: cpu_seconds(process.pid) for process in self.plane.processes}
        return found | {"pods": cpu_seconds(self.fleet.pid), "benchmark": time.process_time()}

    @contextlib.contextmanager
    def operator(self) -> Iterator[Operator]:
        """Leads when it is given."""
        self.operators += 1
        running = Operator(self, self.folder / f"operator-{self.operators}.log")
        try:
            yield running
        finally:
            running.end()


class Operator:
    """One process of `onair operator`."""

    def __init__(self, cluster: Cluster, log: Path) -> None:
        self.log = log
        self.began = time.monotonic()
        command = [sys.executable, "-m", "onair_core.cli", "operator", "--image", "onair:bench"]
        command += ["--kubeconfig", str(cluster.access.kubeconfig), "--namespace", INSTALLATION]
        command += ["--http", "{}:{}".format(*OPERATOR), "--log-format", "json"]
        self._process = _bound(command, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu(self) -> float:
        return cpu_seconds(self.pid)

    @property
    def memory(self) -> tuple[float, float]:
        """Resident now and at most, in MiB."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        now, most = (int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, most

    def until_it_said(self, what: str, patience: float = 120.0) -> float:
        """Seconds from its beginning."""
        while what not in self.log.read_text():
            self._lives()
            if time.monotonic() - self.began > patience:
                raise SystemExit(f"the operator did not say: {what}")
            time.sleep(0.02)
        return time.monotonic() - self.began

    def until_it_rests(self, pods: int, patience: float = 600.0) -> float:
        """Seconds from its beginning until so many pods are followed and nothing waits for a worker."""
        asked = time.monotonic()
        while True:
            self._lives()
            found = self.metrics()
            connected = found["onair_operator_pods_connected"]
            if connected >= pods and not self._works(found):
                return time.monotonic() - self.began
            if time.monotonic() - asked > patience:
                raise SystemExit(f"the operator does not come to rest; it follows {connected:.0f} pods")
            time.sleep(0.25)

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen("http://{}:{}/metrics".format(*OPERATOR), timeout=20) as answer:
            lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def troubles(self) -> list[str]:
        """What it warned of."""
        told = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [json.dumps(line) for line in told if line.get("level") in ("warning", "error", "critical")]

    def end(self) -> float:
        """As Kubernetes does it; seconds that it took."""
        began = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
        return time.monotonic() - began

    def _works(self, found: dict[str, float]) -> bool:
        queues = ("workqueue_depth", "workqueue_unfinished_work_seconds")
        return any(value for name, value in found.items() if name.startswith(queues))

    def _lives(self) -> None:
        if self._process.poll() is not None:
            raise SystemExit(f"the operator has ended:\n{self.log.read_text()[-3000:]}")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """One with OnAir installed as its chart does it, but without the operator."""
    from kubelab import nodeless

    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(nodeless.running(folder, PORTS, say=lambda said: print(said, file=sys.stderr)))
        stack.enter_context(plane.controllers(f"--kube-api-qps={UNHURRIED}", f"--kube-api-burst={2 * UNHURRIED}"))
        stack.enter_context(plane.scheduler(UNHURRIED))
        stack.enter_context(plane.nodes(5, PODS))
        crds = sorted((PROJECT / "crds").glob("*.yaml"))
        plane.install(*(yaml.safe_load(file.read_text(encoding="utf-8")) for file in crds))
        plane.namespace(INSTALLATION, account=False)
        access = plane.access("onair-operator", INSTALLATION, **_rights())
        secret = {"metadata": {"name": "onair-root"}, "stringData": {"root": os.urandom(32).hex()}}
        plane.api.create(f"/api/v1/namespaces/{INSTALLATION}/secrets", secret)
        cls = yaml.safe_load((PROJECT / "deploy/kustomize/class/class.yaml").read_text(encoding="utf-8"))
        plane.api.create("/apis/onair.dev/v1alpha1/livestreamclasses", cls)
        cluster = Cluster(plane, access, folder)
        fleet = [sys.executable, str(PROJECT / "bench" / "operator_fleet.py"), "--kubeconfig", str(plane.kubeconfig)]
        fleet += ["--control", "{}:{}".format(*CONTROL), "--report", "{}:{}".format(*REPORT)]
        cluster.fleet = _bound(fleet, folder / "fleet.log")
        stack.callback(cluster.fleet.kill)
        _until_reporting(cluster)
        yield cluster


def _rights() -> dict[str, list]:
    """What the chart gives the operator."""
    given: dict[str, list] = {}
    for thing in yaml.safe_load_all((PROJECT / "deploy/kustomize/operator.yaml").read_text(encoding="utf-8")):
        if thing["kind"] == "Role":
            given["rules"] = thing["rules"]
        elif thing["kind"] == "ClusterRole" and thing["metadata"]["name"].endswith("-operator"):
            given["cluster_rules"] = thing["rules"]
    return given


def _bound(command: list[str], log: Path) -> subprocess.Popen:
    """Killed when this process ends, however that ends."""
    from kubelab.processes import BOUND

    with log.open("ab") as out:
        return subprocess.Popen([*BOUND, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _until_reporting(cluster: Cluster) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            cluster.report()
            return
        except OSError:
            if cluster.fleet.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the pods do not answer:\n{(cluster.folder / 'fleet.log').read_text()}") from None
            time.sleep(0.1)
