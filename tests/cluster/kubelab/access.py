"""ServiceAccounts with exactly the permissions that a test gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelab import pki
from kubelab.api import Api
from kubelab.site import Site
from kubelab.waiting import until

Rule = Mapping[str, Sequence[str]]

_GROUP = "rbac.authorization.k8s.io"
_RBAC = f"/apis/{_GROUP}/v1"


@dataclass(frozen=True)
class Access:
    """`user` is its name in the audit log; `kubeconfig` has its token, and is whole in itself."""

    user: str
    token: str
    kubeconfig: Path


def grant(
    api: Api, site: Site, name: str, namespace: str, *, rules: Sequence[Rule] = (), cluster_rules: Sequence[Rule] = ()
) -> Access:
    """Makes a ServiceAccount that may do `rules` in its namespace and `cluster_rules` everywhere.

    Rules are those of Roles (`apiGroups`, `resources`, `verbs`, …). Returns when the API server goes by them.
    """
    user = f"system:serviceaccount:{namespace}:{name}"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    if rules:
        folder = f"{_RBAC}/namespaces/{namespace}"
        api.create(f"{folder}/roles", {"metadata": {"name": name}, "rules": list(rules)})
        api.create(f"{folder}/rolebindings", _binding(name, "Role", subject))
    if cluster_rules:
        everywhere = f"{namespace}:{name}"
        api.create(f"{_RBAC}/clusterroles", {"metadata": {"name": everywhere}, "rules": list(cluster_rules)})
        api.create(f"{_RBAC}/clusterrolebindings", _binding(everywhere, "ClusterRole", subject))
    asked = [*_questions(rules, namespace), *_questions(cluster_rules, None)]
    until(f"{user} may do what it was given", lambda: all(_allowed(api, user, question) for question in asked))
    request = {"spec": {"expirationSeconds": 24 * 3600}}
    answer = api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
    token: str = answer["status"]["token"]
    file = site.folder / f"{namespace}.{name}.kubeconfig"
    pki.write_secret(file, pki.kubeconfig(site.server, (site.pki / "ca.crt").read_bytes(), token, namespace))
    return Access(user, token, file)


def _binding(name: str, kind: str, subject: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": name},
        "subjects": [subject],
    }


def _questions(rules: Sequence[Rule], namespace: str | None) -> Iterator[dict[str, str]]:
    """One for each rule: the authorizer takes in a role as a whole."""
    for rule in rules:
        if "resources" not in rule:
            continue  # a nonResourceURL
        resource, _, subresource = rule["resources"][0].partition("/")
        question = {"verb": rule["verbs"][0], "group": rule["apiGroups"][0], "resource": resource}
        question |= {"subresource": subresource} if subresource else {}
        question |= {"name": rule["resourceNames"][0]} if rule.get("resourceNames") else {}
        yield question | ({"namespace": namespace} if namespace else {})


def _allowed(api: Api, user: str, question: dict[str, str]) -> bool:
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", "system:authenticated"]
    review = {"spec": {"user": user, "groups": groups, "resourceAttributes": question}}
    answer = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
