"""WebhookEndpoint objects: what signs, what counts as changed, what status says."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from onair_operator.local.endpoints import endpoint_status, webhook_endpoint
from onair_operator.webhooks import EndpointStatus, Failure


def hook(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "hook",
            "namespace": "default",
            "uid": "u",
            "generation": 3,
            "creationTimestamp": "2026-11-23T10:00:00Z",
        },
        "spec": {"url": "https://x.test/?token=hush", "secretRef": {"name": "sec", "key": "secret"}, **spec},
    }


def secret(version: str = "7", **data: str) -> dict[str, Any]:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    return {"metadata": {"name": "sec", "uid": "s", "resourceVersion": version}, "data": encoded}


def ready(value: dict[str, Any], with_secret: dict[str, Any] | None, fares: EndpointStatus | None) -> tuple[str, str]:
    status = endpoint_status(value, webhook_endpoint(value, with_secret), fares, now=0)
    condition = next(c for c in status["conditions"] if c["type"] == "Ready")
    return condition["status"], condition["reason"]


def test_only_the_named_key_signs_whatever_else_the_secret_holds() -> None:
    shared = secret(secret="whsec", databasePassword="hush", another="")
    assert webhook_endpoint(hook(), shared).secrets == (b"whsec",)
    other_key = hook(secretRef={"name": "sec", "key": "databasePassword"})
    assert webhook_endpoint(other_key, shared).secrets == (b"hush",)


@pytest.mark.parametrize("missing", [None, secret(), secret(other="a"), secret(secret="")])
def test_without_a_usable_key_its_events_wait_and_status_says_why(missing: dict[str, Any] | None) -> None:
    endpoint = webhook_endpoint(hook(), missing)
    assert endpoint.waits
    assert ready(hook(), missing, EndpointStatus(pending=2)) == ("False", "SecretMissing")


def test_revisions_follow_spec_and_secret_and_show_neither() -> None:
    revision = webhook_endpoint(hook(), secret(secret="whsec")).revision
    edited = hook()
    edited["metadata"]["generation"] = 4
    others = [(edited, secret(secret="whsec")), (hook(), secret(version="8", secret="whsec")), (hook(), None)]
    revisions = {revision, *(webhook_endpoint(value, with_secret).revision for value, with_secret in others)}
    assert len(revisions) == 4
    # The same versions, another content: it is not made of the content.
    assert webhook_endpoint(hook(url="https://y.test/"), secret(secret="other")).revision == revision


def test_status_follows_how_it_fares() -> None:
    failure = Failure(at=5.0, code=500, problem="the answer was 500", excerpt="out of order")
    usable = secret(secret="whsec")
    assert ready(hook(), usable, None) == ("True", "Delivering")
    assert ready(hook(), usable, EndpointStatus(failures=2, last_failure=failure)) == ("False", "DeliveryFailing")
    assert ready(hook(suspended=True), usable, None) == ("True", "Suspended")
