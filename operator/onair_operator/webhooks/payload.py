"""What a webhook says: Mux's envelope, and Mux's LiveStream and Asset made of OnAir's objects. Pure.

Times in `data` are integers of Unix seconds, those of the envelope ISO 8601 with microseconds, as Mux sends
them. `stream_key` is always empty: keys are in Secrets and nowhere else.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from onair_operator.eventlog import Attempt, Entry, Subject
from onair_operator.webhooks.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Environment:
    """Which installation speaks: the envelope's `environment`."""

    id: str
    name: str


def envelope(
    entry: Entry,
    subject: Subject,
    environment: Environment,
    attempts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The whole webhook. `data.onair` holds what Mux has no field for; `sequence` counts the subject's
    events.
    """
    own = {
        "namespace": subject.namespace,
        "name": subject.name,
        "sequence": entry.seq,
        **({"broadcast": entry.broadcast.id} if entry.broadcast else {}),
        **({"reason": entry.reason} if entry.reason else {}),
    }
    return {
        "type": entry.type.value,
        "id": entry.id,
        "created_at": _iso(entry.at),
        "object": {"type": entry.object.type, "id": entry.object.id},
        "environment": {"id": environment.id, "name": environment.name},
        "data": {**entry.data, "onair": own},
        "attempts": list(attempts),
        "accessor": None,
        "accessor_source": None,
        "request_id": None,
    }


def encode(webhook: Mapping[str, Any]) -> bytes:
    """The body that is signed and sent."""
    return msgspec.json.encode(webhook)


def attempts_shown(
    entry: Entry, endpoint: Endpoint, attempts: Sequence[Attempt], max_attempts: int
) -> list[dict[str, Any]]:
    """Earlier tries of this event at this endpoint, as Mux shows them in `attempts`, oldest first."""
    return [
        {
            "id": str(uuid.uuid5(uuid.UUID(entry.id), f"{endpoint.uid}/{attempt.number}")),
            "webhook_id": _number(endpoint.uid),
            "address": endpoint.url,
            "created_at": _iso(attempt.at),
            "max_attempts": max_attempts,
            **({} if attempt.status is None else {"response_status_code": attempt.status}),
            "response_headers": dict(attempt.headers),
            "response_body": attempt.body or attempt.problem,
        }
        for attempt in attempts
    ]


def _number(uid: str) -> int:
    """Mux's webhook ids are numbers, which typed receivers expect; 48 bits are exact also as a double."""
    return uuid.uuid5(uuid.NAMESPACE_OID, uid).int >> 80


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
