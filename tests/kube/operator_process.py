"""`onair operator` as a process beside a control plane without nodes, and LiveStreams as their owners see them.

It has a ServiceAccount with the rights that the chart gives it, and no more, so that each test is one of those rights,
too; what it wrote is known from the audit log, by whom.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from free_ports import free_ports
from kubelab import layout
from kubelab.access import Access, Rule
from kubelab.api import Refused
from kubelab.nodeless import ControlPlane
from kubelab.processes import BOUND
from kubelab.waiting import Hopeless, until

Object = dict[str, Any]

INSTALLATION = "onair-system"
IMAGE = "registry.example.com/onair:test"
QUEUES = ("livestreams", "livestreamclasses", "assets")
_TEMPLATES = layout.PROJECT / "charts" / "onair" / "templates" / "rbac" / "_rules.tpl"
_ONAIR = "/apis/onair.dev/v1alpha1"
_PATHS = {
    "assets": f"{_ONAIR}/namespaces/{{}}/assets",
    "livestreams": f"{_ONAIR}/namespaces/{{}}/livestreams",
    "networkpolicies": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "persistentvolumeclaims": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "pods": "/api/v1/namespaces/{}/pods",
    "secrets": "/api/v1/namespaces/{}/secrets",
    "services": "/api/v1/namespaces/{}/services",
}
CHILDREN = ("networkpolicies", "persistentvolumeclaims", "pods", "secrets", "services")


def path_of(plural: str, namespace: str, name: str = "") -> str:
    return _PATHS[plural].format(namespace) + (f"/{name}" if name else "")


# Rights.


def rules(name: str, *, namespaced: bool = False) -> list[Rule]:
    """Those that the chart's template of that name gives."""
    text = _TEMPLATES.read_text(encoding="utf-8")
    found = re.search(r'define "' + re.escape(name) + r'" -}}\n(.*?)\n\{\{/\*', text, re.DOTALL)
    assert found, name
    lines, wanted = [], True
    for line in found[1].splitlines():
        if line.startswith("{{- if .Values.watchNamespaces"):
            wanted = namespaced
        elif line.startswith("{{- end"):
            wanted = True
        elif wanted:
            lines.append(re.sub(r"\{\{.*?\}\}", "onair-operator", line))
    made: list[Rule] = yaml.safe_load("\n".join(lines))
    return made


CLASSES: Rule = {"apiGroups": ["onair.dev"], "resources": ["livestreamclasses"], "verbs": ["list", "watch"]}
CLASS_STATUS: Rule = {"apiGroups": ["onair.dev"], "resources": ["livestreamclasses/status"], "verbs": ["patch"]}


def everywhere(plane: ControlPlane, name: str, installation: str = INSTALLATION) -> Access:
    """An operator of the whole cluster."""
    wide = [CLASSES, CLASS_STATUS, *rules("onair.rules")]
    return plane.access(name, installation, rules=rules("onair.installationRules"), cluster_rules=wide)


# The process.


class Operator:
    """One replica. `options` come behind those that it always has."""

    def __init__(
        self, plane: ControlPlane, access: Access, folder: Path, *options: str, installation: str = INSTALLATION
    ) -> None:
        self.plane, self.access, self.installation = plane, access, installation
        self.log_file = folder / f"{access.user.rpartition(':')[2]}.log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._port, self._logged = 0, 0

    def start(self) -> None:
        (self._port,) = free_ports(1)
        self._logged = self.log_file.stat().st_size if self.log_file.exists() else 0
        words = [
            *("-m", "onair_core.cli", "operator", "--kubeconfig", str(self.access.kubeconfig)),
            *("--namespace", self.installation, "--image", IMAGE, "--http", f"127.0.0.1:{self._port}"),
            *self._options,
        ]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*BOUND, sys.executable, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def leads(self) -> Operator:
        """Waits until it has read everything and works."""
        self.until("it leads and knows everything", lambda: '"everything is known"' in self.since_start(), 60)
        return self

    def rests(self) -> Operator:
        """Waits until nothing is to be done now."""
        self.until("its queues are empty", lambda: not self.busy())
        return self

    def stop(self, patience: float = 30) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(patience)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def exited(self, patience: float = 60) -> int:
        """Waits for its end."""
        assert self._process is not None
        return self._process.wait(patience)

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def until(self, what: str, condition: Any, patience: float = 30) -> Any:
        def or_death() -> Any:
            if not self.lives:
                raise Hopeless(f"the operator has ended, and so never: {what}\n{self.log[-3000:]}")
            return condition()

        return until(what, or_death, patience, pause=0.05)

    # What it says.

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def since_start(self) -> str:
        return self.log_file.read_bytes()[self._logged :].decode(errors="replace")

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metric(self, metric: str, /, **labels: str) -> float:
        """The sum of those samples."""
        status, text = self.get("/metrics")
        assert status == 200
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def busy(self) -> bool:
        return any(
            self.metric(metric, name=queue)
            for queue in QUEUES
            for metric in ("workqueue_depth", "workqueue_unfinished_work_seconds")
        )

    def reconciles(self, queue: str = "livestreams") -> float:
        """How many have ended."""
        return self.metric("workqueue_work_duration_seconds_count", name=queue)

    # What it has written.

    def writes(self, namespace: str | None = None) -> list[tuple[str, str, str, int]]:
        """Verb, kind, name, code; without its lease. `namespace` None: everywhere."""
        return [write for where, write in self._writes() if namespace in (None, where)]

    def _writes(self) -> Iterator[tuple[str, tuple[str, str, str, int]]]:
        for event in self.plane.requests(self.access.user):
            about = event.get("objectRef") or {}
            kind = about.get("resource", "")
            if event["verb"] in ("create", "update", "patch", "delete", "deletecollection") and kind != "leases":
                kind += f"/{about['subresource']}" if "subresource" in about else ""
                code = event["responseStatus"]["code"]
                yield about.get("namespace", ""), (event["verb"], kind, about.get("name", ""), code)


# LiveStreams.


class Channel:
    """One LiveStream."""

    def __init__(self, plane: ControlPlane, namespace: str, name: str = "keynote") -> None:
        self.plane, self.namespace, self.name = plane, namespace, name

    @property
    def path(self) -> str:
        return path_of("livestreams", self.namespace, self.name)

    def declare(self, **spec: Any) -> Object:
        wanted = {"title": self.name, "playback": [{"policy": "public"}], **spec}
        return self.plane.api.apply(
            self.path,
            {
                "apiVersion": "onair.dev/v1alpha1",
                "kind": "LiveStream",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": wanted,
            },
        )

    def delete(self, propagation: str = "Background") -> None:
        self.plane.api.ask("DELETE", self.path, {"propagationPolicy": propagation})

    def touch(self, value: str = "1") -> None:
        """Something that is none of OnAir's business changes."""
        body = {"metadata": {"annotations": {"example.com/touched": value}}}
        merge(self.plane, self.path, body)

    @property
    def object(self) -> Object:
        return self.plane.api.get(self.path)

    @property
    def status(self) -> Object:
        return self.object.get("status") or {}

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason; empty when it is of an older generation."""
        found = self.object
        for condition in (found.get("status") or {}).get("conditions", []):
            if condition["type"] == kind and condition["observedGeneration"] == found["metadata"]["generation"]:
                return condition["status"], condition["reason"]
        return "", ""

    def message(self, kind: str = "Ready") -> str:
        return next(c["message"] for c in self.status["conditions"] if c["type"] == kind)

    def becomes(self, kind: str, status: str, reason: str | None = None, patience: float = 60) -> None:
        """Waits for a condition of the newest generation."""

        def so() -> bool:
            found = self.condition(kind)
            if found[0] == status and reason in (None, found[1]):
                return True
            raise AssertionError(f"{found} {self.status.get('conditions')}")

        until(f"{self.name}: {kind} is {status} {reason or ''}", so, patience, pause=0.05)

    def ready(self, patience: float = 60) -> Channel:
        self.becomes("Ready", "True", patience=patience)
        return self

    def child(self, plural: str, name: str) -> Object:
        return self.plane.api.get(path_of(plural, self.namespace, name))

    def children(self, *plurals: str) -> dict[str, Object]:
        """By `plural/name`: those with its label."""
        query = f"?labelSelector=onair.dev/live-stream={self.name}"
        return {
            f"{plural}/{item['metadata']['name']}": item
            for plural in plurals or CHILDREN
            for item in self.plane.api.get(path_of(plural, self.namespace) + query)["items"]
        }

    def pod(self) -> Object:
        """The only one that is not on its way out."""
        staying = [pod for pod in self.children("pods").values() if "deletionTimestamp" not in pod["metadata"]]
        (found,) = staying
        return found


def merge(plane: ControlPlane, path: str, body: Object) -> Object:
    """As somebody else."""
    query = "?fieldManager=somebody"
    made: Object = json.loads(plane.api.ask("PATCH", path + query, body, content="application/merge-patch+json"))
    return made


def secret(plane: ControlPlane, namespace: str, name: str, **data: str) -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": encoded}
    return plane.api.apply(path_of("secrets", namespace, name), body)


def cls(plane: ControlPlane, name: str, *, default: bool = False, **spec: Any) -> Object:
    annotations = {"onair.dev/is-default-class": "true"} if default else {}
    body = {
        "apiVersion": "onair.dev/v1alpha1",
        "kind": "LiveStreamClass",
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    }
    return plane.api.apply(f"{_ONAIR}/livestreamclasses/{name}", body)


def class_condition(plane: ControlPlane, name: str, kind: str) -> tuple[str, str]:
    found = plane.api.get(f"{_ONAIR}/livestreamclasses/{name}").get("status") or {}
    return next(((c["status"], c["reason"]) for c in found.get("conditions", []) if c["type"] == kind), ("", ""))


def delete(plane: ControlPlane, path: str) -> None:
    """Also what is not there."""
    with contextlib.suppress(Refused):
        plane.api.ask("DELETE", path)


def delete_class(plane: ControlPlane, name: str) -> None:
    delete(plane, f"{_ONAIR}/livestreamclasses/{name}")


def clear(plane: ControlPlane) -> None:
    """No LiveStreams anywhere, and one class."""
    namespaces = {item["metadata"]["namespace"] for item in plane.api.get(f"{_ONAIR}/livestreams")["items"]}
    for namespace in namespaces:
        plane.api.ask("DELETE", path_of("livestreams", namespace))
    plane.api.ask("DELETE", f"{_ONAIR}/livestreamclasses")
    cls(plane, "standard")
