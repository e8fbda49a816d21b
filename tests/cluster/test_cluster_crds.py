"""An API server takes the CRDs and what they describe."""

from __future__ import annotations

import pytest

from kubelab.kubectl import Kubectl
from kubelab.shell import CommandFailed
from onair_core.manifests.crd import crd_folder
from pods import MANIFESTS

KINDS = ("livestreams", "livestreamclasses", "assets", "webhookendpoints")


@pytest.fixture
def crds(kubectl: Kubectl) -> None:
    kubectl.apply(crd_folder())
    for kind in KINDS:
        kubectl.wait(f"crd/{kind}.onair.dev", "Established")


def test_the_crds_are_established(kubectl: Kubectl, crds: None) -> None:
    found = {crd["spec"]["names"]["plural"] for crd in kubectl.list("crd") if crd["spec"]["group"] == "onair.dev"}
    assert found == set(KINDS)


def test_a_livestream_gets_its_defaults(kubectl: Kubectl, crds: None) -> None:
    kubectl.apply(*MANIFESTS)
    assert kubectl.get("livestream", "keynote")["spec"]["maxContinuousDurationSeconds"] == 43_200


def test_what_a_rule_forbids_is_refused(kubectl: Kubectl, crds: None) -> None:
    _, stream = MANIFESTS
    with pytest.raises(CommandFailed, match="reconnectWindowSeconds"):
        kubectl.apply(stream | {"spec": {"reconnectWindowSeconds": -1}})
