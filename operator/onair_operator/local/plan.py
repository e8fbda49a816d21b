"""The plans of all LiveStreams of `onair local`, and whose event log each has. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from onair_operator.decide.grants import Grants
from onair_operator.decide.plan import Plan, draft, finish, stream_ref
from onair_operator.eventlog import Subject
from onair_operator.local.bookkeeping import SOURCE, noted

Object = dict[str, Any]


def subject_of(stream: Object) -> Subject:
    """Whose event log it is."""
    metadata, ref = stream["metadata"], stream_ref(stream)
    return Subject("LiveStream", ref.namespace, ref.name, ref.uid, dict(metadata.get("labels", {})))


def plan(
    streams: Iterable[Object],
    classes: Mapping[str, Object],
    *,
    root: bytes,
    secret: Callable[[str, str], Object | None],
    asset_ids: Mapping[str, str],
    default_store: str,
    contained: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> list[Plan]:
    """`secret(namespace, name)` finds Secrets; `asset_ids`: playback IDs of recordings, by recording.

    `contained(stream)`: within it errors cost that stream only.
    """

    def is_foreign(namespace: str, name: str) -> bool:
        return noted(secret(namespace, name) or {}, SOURCE) is not None

    drafts, grants = [], Grants(asset_ids.get)
    for stream in streams:
        with contained(str(stream_ref(stream))):
            made = draft(stream, classes, root=root, secret=secret, is_foreign=is_foreign, built_in=True)
            grants.claim(made.claim)
            drafts.append(made)
    return [finish(made, grants.grant(made.ref.uid), default_store=default_store) for made in drafts]
