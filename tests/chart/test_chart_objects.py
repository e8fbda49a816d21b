"""What the chart makes: the whole objects (golden files), and what holds for all of them.

`ONAIR_GOLDEN=write pytest tests/chart` writes the golden files anew; read the difference. The CRDs are not in them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm import IMAGE, SETS, Helm, Object, of_kind, parsed, the
from pod_security import violations
from tools.manifests import KUSTOMIZE, NAMESPACE

from kubelab import binaries, shell
from onair_core.manifests import load, validate
from onair_core.manifests.crd import crd_folder
from onair_operator.desired import ports
from onair_operator.desired.labels import all_ingest_selector

GOLDEN = Path(__file__).parent / "golden"
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "LiveStreamClass"}
PODS = {"Deployment", "Job"}


def name(thing: Object) -> tuple[str, str | None, str]:
    return thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]


def by_name(objects: list[Object]) -> dict[tuple[str, str | None, str], Object]:
    found = {name(thing): thing for thing in objects}
    assert len(found) == len(objects), "the same object twice"
    return found


def pods(objects: list[Object]) -> list[Object]:
    return of_kind(objects, "Pod") + [thing["spec"]["template"] for thing in objects if thing["kind"] in PODS]


def arguments(objects: list[Object]) -> list[str]:
    (container,) = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    args: list[str] = container["args"]
    return args


@pytest.mark.parametrize("values", SETS)
def test_the_objects_are_those_of_the_golden_file(helm: Helm, values: str) -> None:
    documents = helm.template(values).split("---\n# Source: onair/")
    rendered = "---\n# Source: ".join(part for part in documents if not part.startswith("templates/crds.yaml"))
    file = GOLDEN / f"{values}.yaml"
    if os.environ.get("ONAIR_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(rendered, encoding="utf-8")
    assert rendered == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("values", SETS)
def test_every_helm_makes_the_same_objects(helm: Helm, any_helm: Helm, values: str) -> None:
    assert by_name(any_helm.objects(values)) == by_name(helm.objects(values))


@pytest.mark.parametrize("values", SETS)
def test_objects_say_where_they_belong(helm: Helm, values: str) -> None:
    for thing in helm.objects(values):
        kind, namespace, _ = name(thing)
        assert (namespace is None) == (kind in CLUSTER_SCOPED), name(thing)
        labels = thing["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "onair" and labels["app.kubernetes.io/instance"] == "onair"
        assert labels["app.kubernetes.io/managed-by"] == "Helm" and labels["app.kubernetes.io/part-of"] == "onair"


@pytest.mark.parametrize("values", SETS)
def test_pods_fit_the_restricted_standard(helm: Helm, values: str) -> None:
    for pod in pods(helm.objects(values)):
        assert violations(pod) == []
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("values", SETS)
def test_everything_finds_the_operators_pods_and_nothing_else(helm: Helm, values: str) -> None:
    objects = helm.objects(values)
    deployment = the(objects, "Deployment")
    selector, labels = (
        deployment["spec"]["selector"]["matchLabels"],
        deployment["spec"]["template"]["metadata"]["labels"],
    )
    selectors = [the(objects, "Service")["spec"]["selector"]]
    selectors += [thing["spec"]["selector"]["matchLabels"] for thing in of_kind(objects, "PodDisruptionBudget")]
    selectors += [thing["spec"]["podSelector"]["matchLabels"] for thing in of_kind(objects, "NetworkPolicy")]
    assert all(found == selector for found in selectors) and selector.items() <= labels.items()
    for others in [
        all_ingest_selector(),
        *(pod["metadata"]["labels"] for pod in pods(objects) if pod["metadata"]["labels"] != labels),
    ]:
        assert not selector.items() <= others.items()
    (told,) = (word.partition("=")[2] for word in arguments(objects) if word.startswith("--pod-labels="))
    assert dict(pair.split("=") for pair in told.split(",")) == selector


def test_a_selector_stays_as_it_is_whatever_else_is_set(helm: Helm) -> None:
    selectors = [the(helm.objects(values), "Deployment")["spec"]["selector"] for values in SETS]
    assert all(selector == selectors[0] for selector in selectors)


# CRDs and the class


def test_the_crds_are_those_of_the_project(helm: Helm) -> None:
    def spec(thing: Object) -> Any:
        return {**thing, "metadata": {"name": thing["metadata"]["name"]}}

    source = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in crd_folder().glob("*.yaml")]
    for values, kept in (("default", True), ("everything", False)):
        made = of_kind(helm.objects(values), "CustomResourceDefinition")
        assert by_name([spec(crd) for crd in made]) == by_name(source)
        annotations = [crd["metadata"].get("annotations", {}) for crd in made]
        assert all((found.get("helm.sh/resource-policy") == "keep") == kept for found in annotations)
    assert of_kind(helm.objects("minimal"), "CustomResourceDefinition") == []


def test_at_first_the_class_waits_for_its_crd(helm: Helm) -> None:
    objects = helm.objects("default")
    weights = [
        the(objects, kind)["metadata"]["annotations"]["helm.sh/hook-weight"] for kind in ("Job", "LiveStreamClass")
    ]
    assert weights == ["0", "1"]
    policy = the(objects, "LiveStreamClass")["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    assert "before-hook-creation" not in policy and "hook-succeeded" not in policy


def test_afterwards_the_class_is_part_of_the_release(helm: Helm) -> None:
    objects = helm.objects("default", first=False)
    made = the(objects, "LiveStreamClass")["metadata"]
    assert made["annotations"] == {"onair.dev/is-default-class": "true", "helm.sh/resource-policy": "keep"}
    assert of_kind(objects, "Job") == []


@pytest.mark.parametrize("values", ["default", "everything"])
def test_the_class_is_valid(helm: Helm, values: str, tmp_path: Path) -> None:
    file = tmp_path / "class.yaml"
    file.write_text(yaml.safe_dump(the(helm.objects(values), "LiveStreamClass")), encoding="utf-8")
    judged = validate(load([file]))
    assert judged.problems == [] and len(judged.manifests) == 1


# Options


def test_pods_are_told_what_the_installation_is(helm: Helm) -> None:
    everything, namespaced = helm.objects("everything"), helm.objects("namespaced")
    (container,) = the(everything, "Deployment")["spec"]["template"]["spec"]["containers"]
    image = "registry.example.com/mirror/onair@sha256:" + 64 * "1"
    environment = {entry["name"]: entry for entry in container["env"]}
    assert container["image"] == environment["ONAIR_IMAGE"]["value"] == image
    assert environment["POD_NAMESPACE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace"
    assert {"-v", "--lease=live-operator", "--root-secret=the-root", "--workers=40"} <= set(arguments(everything))
    assert [word for word in arguments(namespaced) if "namespace" in word or "class" in word] == [
        "--watch-namespace=events",
        "--watch-namespace=sports",
        "--no-class-status",
    ]


def test_ports_are_those_of_ingest_pods(helm: Helm) -> None:
    objects = helm.objects("everything")
    _, _, to_pods = the(objects, "NetworkPolicy")["spec"]["egress"]
    assert to_pods["ports"] == [{"protocol": "TCP", "port": ports.CONTROL}]
    assert to_pods["to"][0]["podSelector"]["matchLabels"] == all_ingest_selector()
    assert the(objects, "PodMonitor")["spec"]["selector"]["matchLabels"] == all_ingest_selector()
    assert the(objects, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"] == "probes"


def test_one_replica_has_no_disruption_budget(helm: Helm) -> None:
    assert of_kind(helm.objects("minimal", "operator.podDisruptionBudget=true"), "PodDisruptionBudget") == []


def test_pods_may_be_watched_in_the_named_namespaces_only(helm: Helm) -> None:
    monitor = the(helm.objects("namespaced", "monitoring.podMonitor.enabled=true"), "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["events", "sports"]}


# Without Helm


def test_kustomize_makes_what_the_chart_makes(helm: Helm) -> None:
    def built(folder: Path) -> list[Object]:
        try:
            return parsed(shell.run(binaries.path("kubectl"), "kustomize", folder))
        except binaries.NotBuilt as reason:
            pytest.skip(str(reason))

    def plain(thing: Object) -> Object:
        metadata = dict(thing["metadata"])
        of_helm = ("helm.sh/chart", "app.kubernetes.io/managed-by", "helm.sh/resource-policy")
        for part in ("labels", "annotations"):
            metadata[part] = {key: value for key, value in metadata.get(part, {}).items() if key not in of_helm}
        if thing["kind"] == "CustomResourceDefinition":
            metadata["labels"] = {}
        return {**thing, "metadata": metadata}

    def without_labels_of_pods(thing: Object) -> Object:
        if thing["kind"] == "Deployment":
            del thing["spec"]["template"]["metadata"]["labels"]["helm.sh/chart"]
            del thing["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/managed-by"]
        return thing

    made = built(KUSTOMIZE)
    namespace = made.pop(next(index for index, thing in enumerate(made) if thing["kind"] == "Namespace"))
    assert namespace["metadata"]["name"] == NAMESPACE
    made += built(KUSTOMIZE / "class")
    of_chart = [thing for thing in helm.objects("default", IMAGE, first=False) if thing["kind"] != "Pod"]
    assert by_name([plain(thing) for thing in made]) == by_name(
        [plain(without_labels_of_pods(thing)) for thing in of_chart]
    )
