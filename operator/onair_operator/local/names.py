"""Who may have which playback ID and stream key: unique among everything this installation serves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from onair_core.contract import PlaybackEntry


@dataclass(frozen=True, slots=True)
class Claim:
    """What one LiveStream asks for.

    `held`: playback IDs that its status records; `holds_key`: so is its key. `created_at` and `name` sort.
    """

    uid: str
    name: str
    created_at: str
    entries: tuple[PlaybackEntry, ...]
    key: str | None = field(repr=False)
    held: frozenset[str] = frozenset()
    holds_key: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What it gets; `conflicts` says who has the rest: (playback ID, or "" for the stream key; the holder's name)."""

    entries: tuple[PlaybackEntry, ...]
    key: str | None = field(repr=False)
    conflicts: tuple[tuple[str, str], ...] = ()


def grant(claims: Iterable[Claim], taken: Mapping[str, str]) -> dict[str, Grant]:
    """By uid. Who holds an ID or a key keeps it, else the older gets it. `taken`: IDs of recordings, by holder."""
    ordered = sorted(claims, key=lambda claim: (claim.created_at, claim.name))
    holders: dict[str, Claim] = {}
    for claim in ordered:
        for entry in claim.entries:
            if entry.id in claim.held:
                holders.setdefault(entry.id, claim)
    for claim in ordered:
        for entry in claim.entries:
            holders.setdefault(entry.id, claim)
    keys: dict[str, Claim] = {}
    for claim in sorted(ordered, key=lambda claim: not claim.holds_key):
        if claim.key is not None:
            keys.setdefault(claim.key, claim)
    grants: dict[str, Grant] = {}
    for claim in ordered:
        entries, conflicts, seen = [], [], set()
        for entry in claim.entries:
            if entry.id in taken or holders[entry.id] is not claim:
                conflicts.append((entry.id, taken.get(entry.id) or holders[entry.id].name))
            elif entry.id in seen:
                conflicts.append((entry.id, f"{claim.name}, another entry"))
            else:
                entries.append(entry)
                seen.add(entry.id)
        key = claim.key
        if key is not None and keys[key] is not claim:
            conflicts.append(("", keys[key].name))
            key = None
        grants[claim.uid] = Grant(tuple(entries), key, tuple(conflicts))
    return grants
