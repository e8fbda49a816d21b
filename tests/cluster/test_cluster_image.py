"""The project's image in a pod: it serves, and what an operator's user needs of a cluster is there."""

from __future__ import annotations

import pytest

from kubelab.kubectl import Kubectl
from kubelab.shell import CommandFailed
from kubelab.waiting import until
from pods import fetch, pod_spec, serve


def test_onair_serves_through_a_service(kubectl: Kubectl, image: str) -> None:
    serve(kubectl, image, "onair")
    assert kubectl.exec("onair", "onair", "--version").startswith("onair, version ")
    assert "keynote" in kubectl.exec("onair", "onair", "streams", "--state-dir", "/data/state")
    assert "keynote" in until("the log tells of the stream", lambda: kubectl.logs("onair"))
    url = f"http://onair.{kubectl.namespace}.svc:8080/"  # by DNS
    page = until("the Service answers", lambda: fetch(kubectl, "onair", url), patience=20)
    assert "OnAir" in page


def test_the_image_needs_no_more_than_restricted_pods_may(kubectl: Kubectl, image: str) -> None:
    spec = pod_spec(image, "onair", None)
    del spec["containers"][0]["securityContext"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "careless"}, "spec": spec}
    with pytest.raises(CommandFailed, match="restricted"):
        kubectl.apply(pod)
