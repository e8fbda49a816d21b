"""What permissions are held against: the API server's record of requests, and its check of who may own what."""

from __future__ import annotations

import json

import pytest

from kubelab.kubectl import Kubectl
from kubelab.provider import Cluster, Unsupported
from kubelab.waiting import until


def test_every_request_is_on_record(kubectl: Kubectl, cluster: Cluster) -> None:
    user = f"system:serviceaccount:{kubectl.namespace}:default"
    assert kubectl.attempt("get", "secrets", f"--as={user}").returncode
    try:
        cluster.requests(user)
    except Unsupported as reason:
        pytest.skip(f"not with this kind of cluster: {reason}")
    # Whoever acts as somebody else is on record as both.
    admin = until("it is written", lambda: [event for event in cluster.requests("admin") if acts_as(event, user)])
    assert admin[0]["verb"] == "list" and admin[0]["objectRef"]["resource"] == "secrets"
    assert admin[0]["responseStatus"]["code"] == 403


def acts_as(event: dict[str, dict[str, object]], user: str) -> bool:
    return event.get("impersonatedUser", {}).get("username") == user


def test_who_may_not_set_finalizers_may_not_block_an_owners_deletion(kubectl: Kubectl) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "patch"]}]
    rbac = "rbac.authorization.k8s.io"
    user = f"system:serviceaccount:{kubectl.namespace}:default"
    kubectl.apply(
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "owned"}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "owned"},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "owned"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": kubectl.namespace}],
        },
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "owner"}, "spec": REPLICA_SET},
    )
    owner = kubectl.get("replicaset", "owner")["metadata"]["uid"]

    def create(name: str, block: bool) -> str:
        reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "owner", "uid": owner}
        metadata = {"name": name, "ownerReferences": [reference | {"blockOwnerDeletion": block}]}
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        return kubectl.attempt("create", "-f", "-", f"--as={user}", stdin=json.dumps(made)).stderr

    until("the role is known", lambda: create("modest", block=False) == "")
    assert "cannot set blockOwnerDeletion" in create("greedy", block=True)


REPLICA_SET = {
    "replicas": 0,
    "selector": {"matchLabels": {"app": "owner"}},
    "template": {"metadata": {"labels": {"app": "owner"}}, "spec": {"containers": [{"name": "c", "image": "c"}]}},
}
