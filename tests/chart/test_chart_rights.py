"""What the operator may do: no more than it does, and outside the watched namespaces nearly nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helm import SETS, Helm, Object, of_kind
from tools.manifests import NAMESPACE

Right = tuple[str, str, str]
"""API group, resource, verb."""

CLASSES = {("onair.dev", "livestreamclasses", verb) for verb in ("list", "watch")}
CLASS_STATUS = {("onair.dev", "livestreamclasses/status", "patch")}
LEASE = {("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")}
OWN_SECRETS = {("", "secrets", verb) for verb in ("get", "list", "watch", "create")}


def rights(*names: str) -> set[Right]:
    """`group/resource: verb verb`; the core group has no name."""
    found: set[Right] = set()
    for line in names:
        resource, _, verbs = line.partition(": ")
        group, _, plural = resource.partition("/")
        found |= {(group, plural, verb) for verb in verbs.split()}
    return found


WATCHED = rights(
    "onair.dev/livestreams: list watch",
    "onair.dev/assets: list watch create",
    "onair.dev/livestreams/status: patch",
    "onair.dev/assets/status: patch",
    "onair.dev/livestreams/finalizers: update",
    "/secrets: get list watch create patch delete",
    "/services: list watch create patch",
    "/pods: list watch create delete",
    "/persistentvolumeclaims: list watch create patch",
    "networking.k8s.io/networkpolicies: list watch create patch",
)


def granted(role: Object) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def of_operator(objects: list[Object]) -> Iterator[tuple[str | None, set[Right]]]:
    """Where (None: everywhere), and what, by the roles that are bound to it."""
    roles = {
        (thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]): thing
        for thing in of_kind(objects, "Role") + of_kind(objects, "ClusterRole")
    }
    for binding in of_kind(objects, "RoleBinding") + of_kind(objects, "ClusterRoleBinding"):
        (subject,) = binding["subjects"]
        assert subject == {"kind": "ServiceAccount", "name": "onair-operator", "namespace": NAMESPACE}
        namespace = binding["metadata"].get("namespace")
        yield namespace, granted(roles[binding["roleRef"]["kind"], namespace, binding["roleRef"]["name"]])


def test_for_the_whole_cluster(helm: Helm) -> None:
    assert dict(of_operator(helm.objects("default"))) == {None: WATCHED | CLASSES | CLASS_STATUS, NAMESPACE: LEASE}


def test_for_some_namespaces(helm: Helm) -> None:
    assert dict(of_operator(helm.objects("namespaced"))) == {
        None: CLASSES,
        "events": WATCHED,
        "sports": WATCHED,
        NAMESPACE: LEASE | OWN_SECRETS,
    }


def test_its_own_namespace_may_be_one_of_them(helm: Helm) -> None:
    objects = helm.objects("namespaced", f"watchNamespaces={{{NAMESPACE}}}")
    here = [found for namespace, found in of_operator(objects) if namespace == NAMESPACE]
    assert WATCHED in here and LEASE | OWN_SECRETS in here


def test_only_its_own_lease(helm: Helm) -> None:
    for values in ("default", "namespaced"):
        for role in of_kind(helm.objects(values), "Role"):
            for rule in role["rules"]:
                if "leases" in rule["resources"] and rule["verbs"] != ["create"]:
                    assert rule["resourceNames"] == ["onair-operator"]


@pytest.mark.parametrize("values", SETS)
def test_no_role_has_wildcards_or_is_a_way_to_more_rights(helm: Helm, values: str) -> None:
    objects = helm.objects(values)
    for role in of_kind(objects, "Role") + of_kind(objects, "ClusterRole"):
        for group, resource, verb in granted(role):
            assert "*" not in (group, resource, verb)
            assert verb not in ("bind", "escalate", "impersonate") and "rbac" not in group
            assert resource not in ("nodes", "pods/exec", "serviceaccounts/token", "clusterroles", "roles")


def test_none_are_given_when_somebody_else_does(helm: Helm) -> None:
    objects = helm.objects("minimal")
    assert not {thing["kind"] for thing in objects} & {
        "Role",
        "ClusterRole",
        "RoleBinding",
        "ClusterRoleBinding",
        "ServiceAccount",
    }


def test_who_edits_a_namespace_may_have_channels_in_it(helm: Helm) -> None:
    roles = {role["metadata"]["name"]: role for role in of_kind(helm.objects("default"), "ClusterRole")}
    view, edit = roles["onair-system-onair-view"], roles["onair-system-onair-edit"]
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]
    assert {verb for _, _, verb in granted(view)} == {"get", "list", "watch"}
    assert {group for group, _, _ in granted(view) | granted(edit)} == {"onair.dev"}
    assert ("onair.dev", "assets", "create") not in granted(edit)


def test_every_verb_has_its_reason(helm: Helm) -> None:
    """In a comment before the rule that begins with the verb, or names it in a list of verbs."""
    lines = helm.template("namespaced").splitlines()
    checked = 0
    for index, line in enumerate(lines):
        if not line.strip().startswith("verbs: ["):
            continue
        start = index
        while not lines[start].strip().startswith("- apiGroups:"):
            start -= 1
        reason = ""
        while lines[start - 1].strip().startswith("#"):
            start -= 1
            reason = f"{lines[start].strip()} {reason}"
        for verb in line.partition("[")[2].rstrip("]").split(", "):
            assert f"{verb}," in reason or f"{verb}:" in reason, (line, reason)
            checked += 1
    assert checked > 50
