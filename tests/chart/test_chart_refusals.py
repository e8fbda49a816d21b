"""Values that are not taken, and what is said then."""

from __future__ import annotations

import pytest
from helm import IMAGE, Helm

WITH_IMAGE = 'image.repository="registry.example.com/onair"'


@pytest.mark.parametrize(
    ("value", "place", "told"),
    [
        ("operator.replicaCount=1", "/operator'", "'replicaCount' not allowed"),
        ('operator.replicas="two"', "/operator/replicas", "want integer"),
        ("operator.replicas=9", "/operator/replicas", "maximum"),
        ('operator.logFormat="xml"', "/operator/logFormat", "'json', 'console'"),
        ('watchNamespaces="events"', "/watchNamespaces", "want array"),
        ('watchNamespaces=["Events"]', "/watchNamespaces/0", "does not match pattern"),
        ('watchNamespaces=["a","a"]', "/watchNamespaces", "equal"),
        ('image.digest="sha256:12"', "/image/digest", "does not match pattern"),
        ('image.repository="registry.example.com/onair:1@2"', "/image/repository", "does not match pattern"),
        ("image.tag=1.0", "/image/tag", "want string"),
        ('operator.podLabels={"app.kubernetes.io/name":"x"}', "/operator/podLabels", "app.kubernetes.io"),
        ('commonLabels={"helm.sh/chart":"x"}', "/commonLabels", "helm.sh"),
        ('operator.extraEnv=[{"name":"ONAIR_IMAGE","value":"x"}]', "/operator/extraEnv/0", "not"),
        ('monitoring.podMonitor.interval="often"', "/monitoring/podMonitor/interval", "does not match pattern"),
        ("networkPolicy.apiServerPorts=[]", "/networkPolicy/apiServerPorts", "minItems"),
        ("unknown=1", "at ''", "'unknown' not allowed"),
    ],
)
def test_what_is_wrong_is_named(any_helm: Helm, value: str, place: str, told: str) -> None:
    said = any_helm.refusal(WITH_IMAGE, value)
    assert place in said and told in said, said


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([], "image.repository is not set: name the image that your cluster can pull"),
        ([WITH_IMAGE, "serviceAccount.create=false"], "serviceAccount.name is needed"),
        ([WITH_IMAGE, "crds.enabled=false"], "class.create needs the CRDs"),
    ],
)
def test_what_is_missing_is_named(any_helm: Helm, values: list[str], told: str) -> None:
    assert told in any_helm.refusal(*values)


def test_a_chart_around_it_may_have_global_values(helm: Helm) -> None:
    assert "kind: Deployment" in helm.template("default", IMAGE, "global.anything=1")
