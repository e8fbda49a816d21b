"""Two nodes: they reach each other, and one can be lost."""

from __future__ import annotations

from functools import partial

import pytest

from kubelab.kubectl import Kubectl
from kubelab.provider import Cluster
from kubelab.waiting import until
from pods import fetch, serve

pytestmark = pytest.mark.slow


def test_a_service_reaches_across_nodes(kubectl: Kubectl, image: str, second_node: str) -> None:
    serve(kubectl, image, "near", "node1")
    serve(kubectl, image, "far", second_node)
    for pod, other in (("near", "far"), ("far", "near")):
        url = f"http://{other}.{kubectl.namespace}.svc:8080/"
        assert until(f"{pod} reaches {other}", partial(fetch, kubectl, pod, url), patience=20)


def test_a_node_that_is_cut_off_is_not_ready_until_it_is_back(
    kubectl: Kubectl, cluster: Cluster, image: str, second_node: str
) -> None:
    serve(kubectl, image, "far", second_node)
    node = f"node/{second_node}"
    with cluster.partition(second_node):
        kubectl.wait(node, "Ready=Unknown", 90)
        kubectl.wait("pod/far", "Ready=False", 30)
        assert kubectl.attempt("exec", "far", "--", "true").returncode
    kubectl.wait(node, "Ready", 90)
    kubectl.wait("pod/far", "Ready", 60)
    assert kubectl.exec("far", "onair", "--version")
    assert not kubectl.get("pod", "far")["status"]["containerStatuses"][0]["restartCount"]
