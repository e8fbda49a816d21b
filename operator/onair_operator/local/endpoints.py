"""WebhookEndpoint objects as the deliverer wants them, and what it says of them as status. Pure."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from onair_core.manifests import WebhookEndpointSpec, spec_of
from onair_operator.decide.conditions import Verdict, with_condition
from onair_operator.decide.times import timestamp, unix_time
from onair_operator.webhooks import Endpoint, EndpointStatus, LabelSelector

Object = dict[str, Any]


def webhook_endpoint(value: Object, secret: Object | None) -> Endpoint | None:
    """None when its secret is missing. The named key signs first; the Secret's other keys sign too (rotation)."""
    spec = spec_of(value, WebhookEndpointSpec)
    data = (secret or {}).get("data", {})
    if spec.secret_ref.key not in data:
        return None
    names = [spec.secret_ref.key, *sorted(name for name in data if name != spec.secret_ref.key)]
    metadata = value["metadata"]
    return Endpoint(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        url=spec.url,
        secrets=tuple(base64.b64decode(data[name]) for name in names),
        created_at=unix_time(metadata["creationTimestamp"]),
        events=spec.events,
        selector=msgspec.convert(spec.selector, LabelSelector),
        suspended=spec.suspended,
    )


def endpoint_status(value: Object, fares: EndpointStatus | None, *, missing_secret: bool, now: float) -> dict[str, Any]:
    """`status` of a WebhookEndpoint."""
    spec, generation = spec_of(value, WebhookEndpointSpec), value["metadata"]["generation"]
    status: dict[str, Any] = {**value.get("status", {}), "observedGeneration": generation}
    if missing_secret:
        message = f"Secret {spec.secret_ref.name} with key {spec.secret_ref.key} is not there"
        verdict = Verdict(False, "SecretMissing", message)
    elif spec.suspended:
        verdict = Verdict(True, "Suspended", "Nothing is delivered until spec.suspended is false.")
    elif fares is not None and fares.failures:
        problem = fares.last_failure.problem if fares.last_failure else "unknown"
        tries = "1 try" if fares.failures == 1 else f"{fares.failures} tries"
        verdict = Verdict(False, "DeliveryFailing", f"{tries} failed since the last success: {problem}")
    else:
        verdict = Verdict(True, "Delivering", "")
    if fares is not None:
        status["pending"] = fares.pending
        if fares.last_success_at is not None:
            status["lastSuccess"] = {"at": timestamp(fares.last_success_at)}
        if fares.last_failure is not None:
            failure = fares.last_failure
            status["lastFailure"] = {
                "at": timestamp(failure.at),
                **({"code": failure.code} if failure.code is not None else {}),
                "message": failure.problem + (f": {failure.excerpt[:200]}" if failure.excerpt else ""),
            }
    status["conditions"] = with_condition(
        status.get("conditions", []), "Ready", verdict, generation=generation, now=now
    )
    return status
