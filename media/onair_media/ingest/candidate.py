"""The broadcast that begins if none goes on: its name, and where it would be recorded."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from onair_core.contract import BroadcastRef, ChannelConfig
from onair_media.ingest.studio import Studio
from onair_media.store import StoreError

# Without look-alikes: people read asset names aloud.
_SUFFIX_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True)
class Candidate:
    """`store`: the URL of where it would be recorded, or None; `problem`: why it is None although it should not be."""

    ref: BroadcastRef
    store: str | None = None
    problem: str = ""


def candidate(config: ChannelConfig, epoch: int, studio: Studio) -> Candidate:
    """Opens the store: a broadcast that cannot be recorded has no asset, rather than an empty one."""
    suffix = "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(6))
    ref = BroadcastRef(f"{config.stream.name}-{suffix}", epoch)
    settings = config.asset.store
    if settings is None:
        return Candidate(ref)
    try:
        studio.store(settings.url)
    except StoreError as error:
        return Candidate(ref, problem=f"Nothing is recorded: {error}")
    return Candidate(ref, settings.url)
