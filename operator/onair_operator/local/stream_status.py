"""A LiveStream's status as far as it follows from configuration, with this machine's addresses. Pure."""

from __future__ import annotations

from typing import Any

from onair_operator.decide.conditions import with_condition
from onair_operator.decide.plan import Plan
from onair_operator.decide.stream_status import configured_status
from onair_operator.local.addresses import Addresses
from onair_operator.local.bookkeeping import Object


def configured(stream: Object, made: Plan, addresses: Addresses, now: float) -> dict[str, Any]:
    """`now`: Unix seconds."""
    generation = stream["metadata"]["generation"]
    status = configured_status(
        stream.get("status", {}),
        made,
        generation=generation,
        ingest={scheme: addresses.ingest(scheme, made.cls) for scheme in ("rtmp", "rtmps")},
        playback_url=lambda playback_id: addresses.playback(playback_id, made.cls),
    )
    conditions = with_condition(status.get("conditions", []), "Ready", made.ready, generation=generation, now=now)
    return status | {"conditions": conditions}
