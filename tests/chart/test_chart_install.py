"""The chart on a real API server: installed for the first time, upgraded, uninstalled, installed again; and without Helm.

No pods run here: the task that waits for the CRDs is run by the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm import IMAGE, Helm, Object, of_kind, parsed, the
from tools.manifests import CHART, KUSTOMIZE, NAMESPACE

from free_ports import free_ports
from kubelab import nodeless
from kubelab.kubectl import Kubectl
from kubelab.nodeless import ControlPlane
from kubelab.provider import Unavailable
from kubelab.shell import CommandFailed
from onair_core.manifests import DEFAULT_CLASS

AWAIT = (CHART / "files" / "await_crds.py").read_text(encoding="utf-8")
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
JOB = "onair-await-crds"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:onair-operator"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """One that has never heard of OnAir."""
    try:
        with nodeless.running(tmp_path / "plane", free_ports(nodeless.PORTS)) as found:
            yield found
    except Unavailable as reason:
        pytest.skip(f"no API server: {reason}")


@pytest.fixture
def kubectl(plane: ControlPlane) -> Kubectl:
    return plane.kubectl.within(NAMESPACE)


class Release:
    """Helm with the cluster's kubeconfig."""

    def __init__(self, helm: Helm, plane: ControlPlane, home: Path) -> None:
        self._helm, self._plane = helm, plane
        # A HOME of its own: what other clusters have served is not remembered.
        self._environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig), "HOME": str(home)}

    def start(self, verb: str, *sets: str, chart: Path = CHART) -> subprocess.Popen[str]:
        words = [str(self._helm.binary), verb, "onair", "--namespace", NAMESPACE, "--timeout=60s"]
        if verb != "uninstall":
            words += [str(chart), *(word for value in (IMAGE, *sets) for word in ("--set", value))]
        words += ["--create-namespace"] if verb == "install" else []
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=self._environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def run(self, verb: str, *sets: str, chart: Path = CHART) -> str:
        process = self.start(verb, *sets, chart=chart)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return said


@pytest.fixture
def release(any_helm: Helm, plane: ControlPlane, tmp_path: Path) -> Release:
    return Release(any_helm, plane, tmp_path)


def awaited(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def exists(kubectl: Kubectl, thing: str) -> bool:
    return kubectl.attempt("get", thing).returncode == 0


def run_the_job(plane: ControlPlane, kubectl: Kubectl, folder: Path) -> None:
    """As Kubernetes would: the script in an environment like a pod's, then the Job is complete."""
    account = folder / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes((plane.site.pki / "ca.crt").read_bytes())
    kubectl.attempt("create", "serviceaccount", "default")
    (account / "token").write_text(kubectl.run("create", "token", "default").strip())
    (container,) = kubectl.get("job", JOB)["spec"]["template"]["spec"]["containers"]
    script, *args = container["args"]
    assert script == AWAIT and ACCOUNT in script
    environment = {"KUBERNETES_SERVICE_HOST": plane.site.address, "KUBERNETES_SERVICE_PORT": str(plane.site.port)}
    done = subprocess.run(
        [sys.executable, "-c", script.replace(ACCOUNT, str(account)), *args],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = {"status": "True", "lastTransitionTime": now, "lastProbeTime": now}
    conditions = [{"type": kind, **told} for kind in ("SuccessCriteriaMet", "Complete")]
    status = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
    kubectl.run("patch", "job", JOB, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def segment_seconds(kubectl: Kubectl) -> Any:
    return kubectl.get("livestreamclass", "standard")["spec"]["packaging"]["segmentSeconds"]


def test_a_release_from_its_first_installation_to_the_next_one(
    release: Release, plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    installation = release.start("install")
    awaited(lambda: exists(kubectl, f"job/{JOB}"), "Helm runs its task")
    assert not exists(kubectl, "livestreamclass/standard")
    run_the_job(plane, kubectl, tmp_path)
    said, _ = installation.communicate(timeout=120)
    assert installation.returncode == 0, said
    assert "STATUS: deployed" in said
    made = kubectl.get("livestreamclass", "standard")
    assert made["metadata"]["annotations"][DEFAULT_CLASS] == "true"
    assert not exists(kubectl, f"job/{JOB}")

    release.run("upgrade")  # takes the class over; Helm 3 would not see a change of it (docs/operations.md)
    release.run("upgrade", "class.spec.packaging.segmentSeconds=4")
    assert segment_seconds(kubectl) == 4
    assert kubectl.get("livestreamclass", "standard")["metadata"]["uid"] == made["metadata"]["uid"]

    plane.namespace("events")
    kubectl.within("events").apply(
        {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStream", "metadata": {"name": "keynote"}, "spec": {}}
    )
    release.run("uninstall")
    assert not exists(kubectl, "deployment/onair-operator")
    assert exists(kubectl.within("events"), "livestream/keynote") and segment_seconds(kubectl) == 4

    release.run("install", "class.spec.packaging.segmentSeconds=4")
    assert kubectl.get("livestreamclass", "standard")["metadata"]["uid"] == made["metadata"]["uid"]
    assert exists(kubectl, "deployment/onair-operator")


def test_an_older_crd_is_upgraded(release: Release, kubectl: Kubectl, tmp_path: Path) -> None:
    older = tmp_path / "older" / "onair"
    shutil.copytree(CHART, older)
    file = older / "files" / "crds" / "livestreams.onair.dev.yaml"
    (crd,) = parsed(file.read_text(encoding="utf-8"))
    assert described(crd).pop("title")
    file.write_text(yaml.safe_dump(crd), encoding="utf-8")

    release.run("install", "class.create=false", chart=older)
    assert "title" not in described(kubectl.get("crd", "livestreams.onair.dev"))
    release.run("upgrade", "class.create=false")
    assert "title" in described(kubectl.get("crd", "livestreams.onair.dev"))


def described(crd: Object) -> Any:
    """The fields of its spec."""
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def may(kubectl: Kubectl, verb: str, resource: str, namespace: str, name: str = "") -> bool:
    """Whether the operator may; `kubectl auth can-i` asks the API server."""
    thing = f"{resource}/{name}" if name else resource
    asked = kubectl.within(namespace).attempt("auth", "can-i", verb, thing, f"--as={OPERATOR}")
    return asked.stdout.strip() == "yes"


def test_rights_of_an_installation_for_some_namespaces(helm: Helm, plane: ControlPlane, kubectl: Kubectl) -> None:
    for name in (NAMESPACE, "events", "sports", "others"):
        plane.namespace(name)
    objects = helm.objects("namespaced", "class.create=false")
    for thing in objects:
        if thing["kind"] != "Pod":
            kubectl.within(thing["metadata"].get("namespace", NAMESPACE)).apply(thing)
    assert may(kubectl, "create", "pods", "events") and may(kubectl, "patch", "secrets", "sports")
    assert may(kubectl, "list", "livestreamclasses.onair.dev", NAMESPACE)
    assert may(kubectl, "update", "leases.coordination.k8s.io", NAMESPACE, "onair-operator")
    for verb, resource, namespace, name in (
        ("get", "secrets", "others", ""),
        ("patch", "secrets", NAMESPACE, ""),
        ("create", "pods", "others", ""),
        ("patch", "livestreamclasses.onair.dev", NAMESPACE, ""),
        ("update", "leases.coordination.k8s.io", NAMESPACE, "another"),
        ("delete", "livestreams.onair.dev", "events", ""),
        ("update", "livestreams.onair.dev", "events", ""),
        ("list", "nodes", NAMESPACE, ""),
    ):
        assert not may(kubectl, verb, resource, namespace, name), (verb, resource, namespace)


def test_kubectl_applies_it_without_helm(plane: ControlPlane, kubectl: Kubectl) -> None:
    said = kubectl.run("apply", "-k", KUSTOMIZE)
    assert "deployment.apps/onair-operator created" in said and "clusterrole" in said
    kubectl.wait("crd/livestreamclasses.onair.dev", "Established")
    awaited(lambda: kubectl.attempt("apply", "-k", str(KUSTOMIZE / "class")).returncode == 0, "the class is there")
    (container,) = kubectl.get("deployment", "onair-operator")["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["ONAIR_IMAGE"] == container["image"] == "registry.example.com/onair:0.1.0.dev0"
    assert "unchanged" in kubectl.run("apply", "-k", KUSTOMIZE)


def test_the_api_server_takes_every_object(helm: Helm, plane: ControlPlane, kubectl: Kubectl) -> None:
    """Of all values, strictly: unknown fields are refused. Prometheus' own kinds are not there."""
    plane.namespace(NAMESPACE)
    objects = helm.objects("everything")
    kubectl.apply(*of_kind(objects, "CustomResourceDefinition"))
    kubectl.wait("crd/livestreamclasses.onair.dev", "Established")
    known = [thing for thing in objects if not thing["kind"].endswith("Monitor")]
    for thing in known:
        taken(kubectl, thing)
    with pytest.raises(CommandFailed, match="selectors"):
        taken(kubectl, {**the(objects, "Service"), "spec": {"selectors": {}}})


def taken(kubectl: Kubectl, thing: Object) -> None:
    words = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-")
    kubectl.run(*words, stdin=json.dumps(thing))
