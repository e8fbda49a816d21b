"""A LiveStream's status as far as it follows from configuration. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onair_core.contract import Phase
from onair_operator.decide.plan import Plan
from onair_operator.desired.channel import reconnect_window

Status = dict[str, Any]


def configured_status(
    status: Status,
    made: Plan,
    *,
    generation: int,
    ingest: dict[str, str],
    playback_url: Callable[[str], str],
) -> Status:
    """`status` as it is now, with what the plan says. `ingest`: addresses without a key; `playback_url`: of an ID."""
    now = unprovisioned_status(status, made, generation=generation)
    if made.class_name is not None:
        now["className"] = made.class_name
    return now | {
        "ingest": _ingest(made, ingest),
        "playback": [
            {"name": entry.name, "id": entry.id, "policy": entry.policy, "url": playback_url(entry.id)}
            for entry in made.config.playback
        ],
    }


def unprovisioned_status(status: Status, made: Plan, *, generation: int) -> Status:
    """The part that takes no class: where there is none, addresses and IDs stay what they were."""
    now = dict(status)
    is_stale = now.get("phase") == Phase.ACTIVE and "broadcast" not in now  # somebody has edited it
    if now.get("observedGeneration") != generation or "phase" not in now or is_stale:
        active = now.get("phase") == Phase.ACTIVE and "broadcast" in now
        now["phase"] = (Phase.DISABLED if made.spec.disabled else Phase.ACTIVE if active else Phase.IDLE).value
    now |= {"observedGeneration": generation, "reconnectWindowSeconds": reconnect_window(made.spec)}
    return {"connected": False, "recording": False, **now}


def _ingest(made: Plan, addresses: dict[str, str]) -> dict[str, Any]:
    secret, key = made.key_secret
    shown: dict[str, Any] = {**addresses, "streamKeySecret": {"name": secret, "key": key}}
    if made.key_fingerprint is not None:
        shown["streamKeyFingerprint"] = made.key_fingerprint
    return shown
