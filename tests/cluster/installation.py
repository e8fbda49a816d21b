"""OnAir as its chart installs it, and LiveStreams as their owners see them."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import yaml

from kubelab import binaries, layout
from kubelab.kubectl import Kubectl
from kubelab.provider import Cluster
from kubelab.waiting import until

NAMESPACE = "onair-system"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:onair-operator"
DEPLOYMENT = "deployment/onair-operator"
CHART = layout.PROJECT / "charts" / "onair"

Object = dict[str, Any]


class Installation:
    """A release of the chart in `onair-system`."""

    def __init__(self, cluster: Cluster, image: str) -> None:
        self.cluster = cluster
        self.kubectl = cluster.kubectl.within(NAMESPACE)
        self._image = image

    def install(self) -> str:
        # Another test may have applied the CRDs, as others do who begin without Helm.
        words = ("--create-namespace", "--wait", "--take-ownership", "--force-conflicts")
        return self._helm("install", "onair", str(CHART), *words, *self._values(self._image))

    def upgrade(self, *sets: str, image: str | None = None) -> str:
        """Returns when the new operator is there; `sets`: values beside those of the installation."""
        return self._helm("upgrade", "onair", str(CHART), "--wait", *self._values(image or self._image, *sets))

    def test(self) -> str:
        return self._helm("test", "onair")

    def uninstall(self) -> None:
        self._helm("uninstall", "onair", "--wait")

    def stop_operator(self) -> None:
        self.kubectl.run("scale", DEPLOYMENT, "--replicas=0")
        until("no operator runs", lambda: not self._operators())

    def start_operator(self) -> None:
        self.kubectl.run("scale", DEPLOYMENT, "--replicas=2")
        self.kubectl.run("rollout", "status", DEPLOYMENT, "--timeout=90s")

    def leader(self) -> str:
        """The pod that leads."""
        holder = self.kubectl.get("lease", "onair-operator")["spec"].get("holderIdentity") or ""
        return holder.rpartition("-")[0]

    def metric(self, name: str) -> dict[str, float]:
        """Of the leader: values by labels, as they stand in Prometheus' text."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{self.leader()}:8080/proxy/metrics"
        lines = [line for line in self.kubectl.run("get", "--raw", path).splitlines() if line.startswith(name)]
        return {line.rpartition(" ")[0].removeprefix(name): float(line.rpartition(" ")[2]) for line in lines}

    def logs(self) -> str:
        return "\n".join(self.kubectl.logs(name) for name in self._operators())

    def _operators(self) -> list[str]:
        found = self.kubectl.list("pods", "-l", "app.kubernetes.io/component=operator")
        return [pod["metadata"]["name"] for pod in found]

    def _values(self, image: str, *sets: str) -> list[str]:
        repository, _, tag = image.rpartition(":")
        values = [f"image.repository={repository}", f"image.tag={tag}", "class.create=true", *sets]
        return [word for value in values for word in ("--set", value)]

    def _helm(self, *words: str) -> str:
        command = [str(binaries.path("helm")), *words, "--namespace", NAMESPACE, "--timeout=120s"]
        environment = {**os.environ, "KUBECONFIG": str(self.kubectl.kubeconfig)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


class Stream:
    """One LiveStream of a namespace."""

    def __init__(self, kubectl: Kubectl, name: str = "keynote") -> None:
        self.kubectl, self.name = kubectl, name

    def declare(self, **spec: Any) -> None:
        wanted = {"title": "Opening keynote", "playback": [{"policy": "public"}], **spec}
        metadata = {"name": self.name}
        self.kubectl.apply(
            {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStream", "metadata": metadata, "spec": wanted}
        )

    def ready(self, seconds: float = 60) -> None:
        self.kubectl.wait(f"livestream/{self.name}", "Ready", seconds)

    def delete(self) -> None:
        self.kubectl.run("delete", "livestream", self.name)

    @property
    def status(self) -> Object:
        found: Object = self.kubectl.get("livestream", self.name).get("status", {})
        return found

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason."""
        found = {c["type"]: (c["status"], c["reason"]) for c in self.status.get("conditions", [])}
        return found.get(kind, ("", ""))

    def becomes(self, what: str, patience: float = 60, **wanted: Any) -> Object:
        """Waits for fields of status; returns it."""

        def as_wanted() -> Object | None:
            status = self.status
            return status if all(status.get(name) == value for name, value in wanted.items()) else None

        found: Object = until(f"{self.name} {what}: {wanted}", as_wanted, patience)
        return found

    def events(self) -> list[str]:
        """Types of the newest, without their common beginning."""
        return [event["type"].removeprefix("video.") for event in self.status["events"]]

    def address(self) -> str:
        """The Service's, for who reaches ClusterIPs."""
        found: str = self.kubectl.get("service", f"{self.name}-ingest")["spec"]["clusterIP"]
        return found

    def key(self) -> str:
        secret = self.status["ingest"]["streamKeySecret"]
        found = self.kubectl.get("secret", secret["name"])["data"][secret["key"]]
        return base64.b64decode(found).decode()

    def url(self, scheme: str = "rtmp") -> str:
        """As soon as the Service leads anywhere: encoders try again, ffmpeg does not."""
        return f"{scheme}://{self._reached(5222)}:5222/app/{self.key()}"

    def playlist(self) -> str:
        """As viewers have it, but for the host name, which only pods can look up."""
        found: str = self.status["playback"][0]["url"]
        return found.replace(f"{self.name}-ingest.{self.kubectl.namespace}.svc", self._reached(8080))

    def _reached(self, port: int) -> str:
        """The Service's address, once it leads to the pod: kube-proxy is told of a ready pod later than the operator."""
        address = self.address()

        def is_open() -> bool:
            with socket.create_connection((address, port), timeout=1):
                return True

        until("the Service leads to the pod", is_open)
        return address

    def pods(self) -> list[str]:
        found = self.kubectl.list("pods", "-l", f"onair.dev/live-stream={self.name}")
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def assets(self) -> dict[str, Object]:
        found = self.kubectl.list("assets", "-l", f"onair.dev/live-stream={self.name}")
        return {asset["metadata"]["name"]: asset["status"] for asset in found}


def example(name: str) -> list[Object]:
    """The objects of a file in `examples/`."""
    text = Path(layout.PROJECT / "examples" / name).read_text(encoding="utf-8")
    return [thing for thing in yaml.safe_load_all(text) if thing]
