"""The versions of Helm that the chart is for.

Where they are not, and cannot be built, the tests skip and say why; with ONAIR_REQUIRE_CLUSTER=1 (CI) they fail instead.
"""

from __future__ import annotations

import pytest
from helm import Helm

from kubelab import binaries


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The newest."""
    return _built("helm")


@pytest.fixture(scope="session", params=["helm", "helm3"])
def any_helm(request: pytest.FixtureRequest) -> Helm:
    return _built(request.param)


def _built(name: str) -> Helm:
    try:
        return Helm(binaries.path(name))
    except binaries.NotBuilt as reason:
        pytest.skip(f"no {name}: {reason}")
