"""What `onair local` remembers of an object, in a part of its file that no manifest reaches."""

from __future__ import annotations

from typing import Any

BOOKKEEPING = "bookkeeping"

SOURCE = "source"
"""The manifest file an object comes from, absolute. Objects without it were made by OnAir."""
JOURNAL = "journal"
"""Epoch and n of the last journal record that is in status."""
OBSERVED = "observed"
"""The mark of the spec that the event log knows."""
KEYS = "keys"
"""Fingerprints of the stream keys it has had, the newest last."""

Object = dict[str, Any]


def noted(value: Object, name: str) -> str | None:
    """What is remembered under a name."""
    found = value.get(BOOKKEEPING, {}).get(name)
    return found if isinstance(found, str) else None


def note(value: Object, name: str, text: str) -> None:
    """Remembers; in place."""
    value.setdefault(BOOKKEEPING, {})[name] = text


def for_people(value: Object) -> Object:
    """An object as an API server would show it."""
    return {name: part for name, part in value.items() if name != BOOKKEEPING}


def journal_cursor(stream: Object) -> tuple[int, int]:
    """Epoch and n of the last journal record that is in status; (0, 0) before the first."""
    epoch, _, n = (noted(stream, JOURNAL) or "0.0").partition(".")
    return int(epoch), int(n)
