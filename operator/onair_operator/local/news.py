"""What the log says of objects: that an edit was taken up, that something is not ready, that a key is another one.

Each is said when it changes. Fields are named; what is in them is not said, as it may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from onair_operator.local.bookkeeping import KEYS, Object, note, noted
from onair_operator.local.objects import Change, identity_of

log = structlog.get_logger(__name__)

REPEAT_SECONDS = 60.0
"""What still does not work is told again after this, if there is something new to it."""
KEYS_REMEMBERED = 20


@dataclass(frozen=True, slots=True)
class _Told:
    status: str
    reason: str
    message: str
    at: float


class News:
    """Remembers what was said of each object."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._lonely: set[str] = set()

    def ready(self, value: Object, now: float) -> None:
        """An object has this status now. `now`: Unix seconds."""
        condition = next((c for c in value["status"]["conditions"] if c["type"] == "Ready"), None)
        if condition is None:
            return
        uid = value["metadata"]["uid"]
        told = _Told(condition["status"], condition["reason"], condition["message"], now)
        before = self._told.get(uid)
        if before is not None and not _is_news(before, told):
            return
        self._told[uid] = told
        if told.status != "True":
            log.warning("not ready", object=title(value), reason=told.reason, problem=told.message)
        elif before is not None:
            log.info("ready", object=title(value), reason=told.reason)

    def audience(self, endpoint: Object, namespaces: set[str]) -> None:
        """`namespaces`: those that have LiveStreams. An endpoint elsewhere is sent nothing, which is rarely meant."""
        uid, namespace = endpoint["metadata"]["uid"], endpoint["metadata"]["namespace"]
        if namespace in namespaces:
            self._lonely.discard(uid)
        elif uid not in self._lonely:
            self._lonely.add(uid)
            there = ", ".join(sorted(namespaces)) or "no namespace"
            log.warning(
                "nothing will be sent: its namespace has no LiveStream", object=title(endpoint), streams_are_in=there
            )


def _is_news(before: _Told, now: _Told) -> bool:
    if (before.status, before.reason) != (now.status, now.reason):
        return True
    return now.status != "True" and before.message != now.message and now.at - before.at >= REPEAT_SECONDS


def tell_change(change: Change, before: Object | None, after: Object) -> None:
    """A manifest was applied."""
    if change is Change.CREATED:
        log.info("added", object=title(after))
    elif change is not Change.NONE and before is not None:
        log.info("updated", object=title(after), fields=", ".join(changed_fields(before, after)))


def tell_kept(objects: Iterable[Object]) -> None:
    """Manifests of objects that exist are wrong, or cannot be read."""
    for value in objects:
        log.warning("keeping the previous version", object=title(value))


def tell_key(stream: Object, fingerprint: str | None) -> None:
    """Takes note of a stream's key, by its fingerprint, and tells when it is another one. In place."""
    known = (noted(stream, KEYS) or "").split()
    if fingerprint is None or known[-1:] == [fingerprint]:
        return
    note(stream, KEYS, " ".join([*(key for key in known if key != fingerprint), fingerprint][-KEYS_REMEMBERED:]))
    if fingerprint in known:
        log.warning("the stream key is an earlier one again: who has that can publish", object=title(stream))
    elif known:
        log.info("the stream key is another one; the one before is refused", object=title(stream))


def changed_fields(before: Object, after: Object) -> list[str]:
    """`title`, `streamKey.rotation`, `labels.show`: what of spec, data, labels and annotations is different."""
    found = list(_differences(before.get("spec"), after.get("spec"), ""))
    found += _differences(before.get("data"), after.get("data"), "data.")
    for part in ("labels", "annotations"):
        found += _differences(before["metadata"].get(part), after["metadata"].get(part), f"{part}.")
    return found


def title(value: Object) -> str:
    """`LiveStream default/keynote`."""
    kind, namespace, name = identity_of(value)
    return f"{kind} {namespace}{'/' if namespace else ''}{name}"


def _differences(before: Any, after: Any, prefix: str) -> Iterator[str]:
    before, after = before or {}, after or {}
    for name in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{name}.")
        elif old != new or (name in before) != (name in after):
            yield f"{prefix}{name}"
