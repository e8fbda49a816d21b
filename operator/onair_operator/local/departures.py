"""Which objects are gone: those whose manifest is missing on two looks, with time between them.

A manifest is missing for a moment whenever a file is truncated and written again, a folder is swapped, or a generator
writes one document after another. None of them may end a broadcast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from onair_core.manifests import Identity, Validated
from onair_operator.local.bookkeeping import SOURCE, Object, noted
from onair_operator.local.objects import identity_of
from onair_operator.local.stamps import Stamp

SECOND_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Missing:
    since: float
    stamp: Stamp | None


class Departures:
    """`stamp(file)` says which version of a file it is; the time starts anew while somebody writes it."""

    def __init__(self, stamp: Callable[[str], Stamp | None]) -> None:
        self._stamp = stamp
        self._missing: dict[Identity, _Missing] = {}

    def look(self, objects: Iterable[Object], result: Validated, now: float) -> list[Object]:
        """The objects that are gone for good. `now`: seconds on a clock that only goes forwards."""
        gone, missing = [], {}
        for value in objects:
            source, identity = noted(value, SOURCE), identity_of(value)
            if source is None or identity in result.manifests or identity in result.broken:
                continue
            if _is_unknown(source, result.unreadable):
                continue
            stamp = self._stamp(source)
            before = self._missing.get(identity)
            if before is None or before.stamp != stamp:
                missing[identity] = _Missing(now, stamp)
            elif now - before.since < SECOND_LOOK_SECONDS:
                missing[identity] = before
            else:
                gone.append(value)
        self._missing = missing
        return gone

    @property
    def look_again_at(self) -> float | None:
        """When the next look is due; None when nothing is missing."""
        since = [found.since for found in self._missing.values()]
        return min(since) + SECOND_LOOK_SECONDS if since else None


def _is_unknown(source: str, unreadable: set[str]) -> bool:
    return source in unreadable or any(str(folder) in unreadable for folder in Path(source).parents)
