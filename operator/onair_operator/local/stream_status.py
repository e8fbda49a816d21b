"""A LiveStream's status as far as it follows from configuration. Pure."""

from __future__ import annotations

from typing import Any

from onair_core.contract import Phase
from onair_operator.decide.conditions import with_condition
from onair_operator.decide.plan import Plan
from onair_operator.desired.channel import reconnect_window
from onair_operator.local.addresses import Addresses
from onair_operator.local.bookkeeping import Object


def configured_status(stream: Object, made: Plan, addresses: Addresses, now: float) -> dict[str, Any]:
    """`now`: Unix seconds."""
    generation = stream["metadata"]["generation"]
    status = dict(stream.get("status", {}))
    if status.get("observedGeneration") != generation or "phase" not in status:
        active = status.get("phase") == Phase.ACTIVE and "broadcast" in status
        status["phase"] = (Phase.DISABLED if made.spec.disabled else Phase.ACTIVE if active else Phase.IDLE).value
    if made.class_name is not None:
        status["className"] = made.class_name
    status |= {
        "observedGeneration": generation,
        "reconnectWindowSeconds": reconnect_window(made.spec),
        "ingest": _ingest(made, addresses),
        "playback": [
            {
                "name": entry.name,
                "id": entry.id,
                "policy": entry.policy,
                "url": addresses.playback(entry.id, made.cls),
            }
            for entry in made.config.playback
        ],
    }
    status.setdefault("connected", False)
    status.setdefault("recording", False)
    status["conditions"] = with_condition(
        status.get("conditions", []), "Ready", made.ready, generation=generation, now=now
    )
    return status


def _ingest(made: Plan, addresses: Addresses) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "rtmp": addresses.ingest("rtmp", made.cls),
        "rtmps": addresses.ingest("rtmps", made.cls),
        "streamKeySecret": {"name": made.key_secret[0], "key": made.key_secret[1]},
    }
    if made.key_fingerprint is not None:
        shown["streamKeyFingerprint"] = made.key_fingerprint
    return shown
