"""WebhookEndpoint objects as the deliverer wants them, and what it says of them as status. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from onair_core.manifests import WebhookEndpointSpec, spec_of
from onair_operator.decide.conditions import Verdict, with_condition
from onair_operator.decide.times import timestamp, unix_time
from onair_operator.desired.secrets import secret_value
from onair_operator.webhooks import Endpoint, EndpointStatus, LabelSelector

Object = dict[str, Any]


def webhook_endpoint(value: Object, secret: Object | None) -> Endpoint:
    """Signed with the key that it names and with no other: the Secret may hold what is not for this. Without that key,
    or with an empty one, the endpoint has no secrets, and its events wait.
    """
    spec = spec_of(value, WebhookEndpointSpec)
    key = secret_value(secret, spec.secret_ref.key)
    metadata = value["metadata"]
    return Endpoint(
        uid=metadata["uid"],
        revision=_revision(metadata, secret),
        namespace=metadata["namespace"],
        name=metadata["name"],
        url=spec.url,
        secrets=(key,) if key else (),
        created_at=unix_time(metadata["creationTimestamp"]),
        events=spec.events,
        selector=msgspec.convert(spec.selector, LabelSelector),
        suspended=spec.suspended,
    )


def _revision(metadata: dict[str, Any], secret: Object | None) -> str:
    """Made of versions, not of what they are the versions of: it stands in the event log."""
    of_secret = (secret or {}).get("metadata", {})
    parts = (metadata["generation"], of_secret.get("uid"), of_secret.get("resourceVersion"))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def endpoint_status(value: Object, endpoint: Endpoint, fares: EndpointStatus | None, *, now: float) -> dict[str, Any]:
    """`status` of a WebhookEndpoint."""
    spec, generation = spec_of(value, WebhookEndpointSpec), value["metadata"]["generation"]
    status: dict[str, Any] = {**value.get("status", {}), "observedGeneration": generation}
    if not endpoint.secrets:
        where = f"Secret {spec.secret_ref.name} with key {spec.secret_ref.key}"
        message = f"{where} is not there or empty. Events wait for it."
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
