"""The operator as the chart starts it, with the rights that the chart gives it: they are enough, and its options are known.

No pods run here: what Assets take is not used.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm import Helm, Object, the
from test_chart_rights import Right, of_operator
from tools.manifests import NAMESPACE

from free_ports import free_ports
from kubelab import nodeless, pki
from kubelab.kubectl import Kubectl
from kubelab.nodeless import ControlPlane
from kubelab.provider import Unavailable
from onair_core.manifests.crd import crd_folder

ACCOUNT = "onair-operator"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
ONLY_WITH_PODS = {
    ("onair.dev", "assets", "create"),
    ("onair.dev", "assets/status", "patch"),
}
# Asked for within a request that the audit log calls something else: owner references of a child that is made, and
# applying what is not there (a patch).
WITHIN_OTHERS = {
    ("onair.dev", "livestreams/finalizers", "update"),
    ("", "services", "create"),
    ("", "persistentvolumeclaims", "create"),
    ("networking.k8s.io", "networkpolicies", "create"),
}


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    try:
        with nodeless.running(tmp_path / "plane", free_ports(nodeless.PORTS)) as found:
            found.install(*(yaml.safe_load(file.read_text(encoding="utf-8")) for file in crd_folder().glob("*.yaml")))
            yield found
    except Unavailable as reason:
        pytest.skip(f"no API server: {reason}")


def installed(plane: ControlPlane, objects: list[Object]) -> None:
    """What an installation leaves, but its workload: that runs here."""
    for thing in objects:
        if thing["kind"] not in ("CustomResourceDefinition", "Pod", "Deployment", "Job"):
            plane.kubectl.within(thing["metadata"].get("namespace", NAMESPACE)).apply(thing)


@contextmanager
def operator(plane: ControlPlane, objects: list[Object], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Its process: arguments and environment are the Deployment's."""
    (container,) = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    (port,) = free_ports(1)
    args = [f"--http=127.0.0.1:{port}" if word.startswith("--http=") else word for word in container["args"]]
    token = plane.kubectl.within(NAMESPACE).run("create", "token", ACCOUNT).strip()
    kubeconfig = folder / "operator.kubeconfig"
    authority = (plane.site.pki / "ca.crt").read_bytes()
    pki.write_secret(kubeconfig, pki.kubeconfig(plane.site.server, authority, token, NAMESPACE))
    environment = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    with (folder / "operator.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "onair_core.cli", *args, f"--kubeconfig={kubeconfig}"],
            env={**os.environ, **environment, "POD_NAMESPACE": NAMESPACE},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=40)


def until(condition: Callable[[], Any], process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + 60
    while not condition():
        said = (folder / "operator.log").read_text(encoding="utf-8")[-3000:]
        assert process.poll() is None and time.monotonic() < end, said
        time.sleep(0.1)


def used(plane: ControlPlane) -> set[tuple[str | None, Right]]:
    """Namespace, and what was asked for there."""
    found: set[tuple[str | None, Right]] = set()
    for event in plane.requests(USER):
        if (reference := event.get("objectRef")) is None:
            continue
        resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
        found.add((reference.get("namespace"), (reference.get("apiGroup", ""), resource, event["verb"])))
    return found


def refused(plane: ControlPlane) -> list[str]:
    return [
        f"{event['verb']} {event['requestURI']}: {event['responseStatus'].get('message', '')}"
        for event in plane.requests(USER)
        if event.get("responseStatus", {}).get("code") == 403
    ]


def certificate() -> dict[str, str]:
    """tls.crt and tls.key, as a Secret has them."""
    pair = pki.Authority("ingest.example.com").issue("ingest", server_names=["ingest.example.com"])
    return {
        "tls.crt": base64.b64encode(pair.certificate).decode(),
        "tls.key": base64.b64encode(pair.key).decode(),
    }


@pytest.mark.parametrize("values", ["default", "namespaced"])
def test_its_rights_are_enough_and_all_of_them_are_used(
    helm: Helm, plane: ControlPlane, tmp_path: Path, values: str
) -> None:
    for name in (NAMESPACE, "events", "sports"):
        plane.namespace(name)
    sets = ("class.spec.ingest.tls.secretName=ingest-tls", "class.spec.ingest.volume.persistentVolumeClaim.size=1Gi")
    objects = helm.objects(values, *sets, first=False)
    installed(plane, objects)
    there, events = plane.kubectl.within(NAMESPACE), plane.kubectl.within("events")
    there.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ingest-tls"}, "data": certificate()})
    events.apply(stream("keynote"))

    with operator(plane, objects, tmp_path) as process:
        until(lambda: events.list("pods"), process, tmp_path)
        first = events.list("pods")[0]["metadata"]["name"]
        there.run("patch", "livestreamclass", "standard", "--type=merge", "-p", '{"spec":{"ingest":{"tls":null}}}')
        until(lambda: [pod for pod in events.list("pods") if pod["metadata"]["name"] != first], process, tmp_path)
        until(lambda: first not in names(events, "secrets"), process, tmp_path)
    assert process.returncode == 0

    assert refused(plane) == []
    assert names(there, "secrets") >= {"onair-root"} and names(there, "leases") == {"onair-operator"}
    (container,) = events.list("pods")[0]["spec"]["containers"]
    assert container["image"] == "registry.example.com/onair:0.1.0.dev0"
    (policy,) = events.list("networkpolicies")
    (_, to_control) = policy["spec"]["ingress"]
    assert to_control["from"][0]["podSelector"] == the(objects, "Deployment")["spec"]["selector"]

    rights = {right for _, right in used(plane)}
    for _, given in of_operator(objects):
        assert given - rights - ONLY_WITH_PODS - WITHIN_OTHERS == set()


def stream(name: str) -> Object:
    return {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStream", "metadata": {"name": name}, "spec": {}}


def names(kubectl: Kubectl, kind: str) -> set[str]:
    return {found["metadata"]["name"] for found in kubectl.list(kind)}
