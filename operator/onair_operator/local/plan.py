"""What each LiveStream shall be right now: class, key, playback IDs, configuration, and whether it is Ready. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from onair_core import identity
from onair_core.contract import ChannelConfig, PlaybackEntry, StreamRef
from onair_core.manifests import LiveStreamClassSpec, LiveStreamSpec, spec_of
from onair_operator.decide.conditions import Verdict
from onair_operator.desired.channel import channel_config
from onair_operator.desired.naming import stream_key_secret_name
from onair_operator.eventlog import Subject
from onair_operator.local.bookkeeping import SOURCE, noted
from onair_operator.local.classes import BUILT_IN_CLASS, default_class
from onair_operator.local.names import Claim, grant
from onair_operator.local.secrets import secret_value

# Reasons that say nothing against the key itself: a publisher is not cut for them.
_KEEP_KEY = ("SecretNotOwned",)
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """One LiveStream's.

    `class_name`: None when there is no such class. `generated_key`: to be kept in a Secret of its own; `key_secret`:
    (name, key) of the Secret. `key_fingerprint`: of the key that it holds now.
    """

    stream: Object = field(repr=False)
    ref: StreamRef
    spec: LiveStreamSpec
    class_name: str | None
    cls: LiveStreamClassSpec
    config: ChannelConfig
    ready: Verdict
    key_secret: tuple[str, str]
    key_fingerprint: str | None
    generated_key: str | None = field(repr=False)


def stream_ref(stream: Object) -> StreamRef:
    metadata = stream["metadata"]
    return StreamRef(metadata["namespace"], metadata["name"], metadata["uid"])


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
    drafts = []
    for stream in streams:
        with contained(str(stream_ref(stream))):
            drafts.append(_draft(stream, classes, root, secret))
    grants = grant((draft.claim for draft in drafts), asset_ids)
    plans = []
    for draft in drafts:
        granted = grants[draft.ref.uid]
        ready = draft.problem
        if ready is None and granted.conflicts:
            ready = _conflict(granted.conflicts)
        if ready is None and draft.spec.disabled:
            ready = Verdict(True, "Disabled", "The stream is disabled and refuses publishers.")
        config = channel_config(
            draft.ref,
            draft.spec,
            draft.cls,
            key=granted.key,
            playback=granted.entries,
            store=draft.cls.store.url if draft.cls.store else default_store,
        )
        plans.append(
            Plan(
                stream=draft.stream,
                ref=draft.ref,
                spec=draft.spec,
                class_name=draft.class_name,
                cls=draft.cls,
                config=config,
                ready=ready or Verdict(True, "AcceptingPublisher", "A publisher with the stream key can go live."),
                key_secret=draft.key_secret,
                key_fingerprint=_fingerprint(root, granted.key),
                generated_key=draft.generated_key,
            )
        )
    return plans


@dataclass(frozen=True, slots=True)
class _Draft:
    stream: Object
    ref: StreamRef
    spec: LiveStreamSpec
    class_name: str | None
    cls: LiveStreamClassSpec
    claim: Claim
    problem: Verdict | None
    key_secret: tuple[str, str]
    generated_key: str | None


def _draft(
    stream: Object, classes: Mapping[str, Object], root: bytes, secret: Callable[[str, str], Object | None]
) -> _Draft:
    ref, spec = stream_ref(stream), spec_of(stream, LiveStreamSpec)
    class_name, cls, problem = _class(stream, spec, classes)
    generated = None
    reference = spec.stream_key.secret_ref
    if reference is None:
        key: str | None = identity.stream_key(root, ref.namespace, ref.name, spec.stream_key.rotation)
        key_secret = (stream_key_secret_name(ref.name), "streamKey")
        if noted(secret(ref.namespace, key_secret[0]) or {}, SOURCE) is None:
            generated = key
        else:
            message = f"Secret {key_secret[0]} comes from a manifest; the generated stream key needs that name"
            problem = problem or Verdict(False, "SecretNotOwned", message)
    else:
        key_secret = (reference.name, reference.key)
        key, key_problem = _own_key(secret(ref.namespace, reference.name), *key_secret)
        problem = problem or key_problem
    status = stream.get("status", {})
    entries = tuple(
        PlaybackEntry(
            entry.name, entry.id or identity.playback_id(root, ref.namespace, ref.name, entry.name), entry.policy
        )
        for entry in spec.playback
    )
    claim = Claim(
        uid=ref.uid,
        name=str(ref),
        created_at=stream["metadata"]["creationTimestamp"],
        entries=entries,
        key=key if problem is None or problem.reason in _KEEP_KEY else None,
        held=frozenset(entry["id"] for entry in status.get("playback", [])),
        holds_key=key is not None and status.get("ingest", {}).get("streamKeyFingerprint") == _fingerprint(root, key),
    )
    return _Draft(stream, ref, spec, class_name, cls, claim, problem, key_secret, generated)


def _class(
    stream: Object, spec: LiveStreamSpec, classes: Mapping[str, Object]
) -> tuple[str | None, LiveStreamClassSpec, Verdict | None]:
    """The class a stream is bound to: named, bound before, marked as default, or the built-in one."""
    name = spec.class_name or stream.get("status", {}).get("className") or default_class(classes.values())
    found = classes.get(name)
    if found is None:
        if name == BUILT_IN_CLASS:
            return name, LiveStreamClassSpec(), None
        known = ", ".join(sorted({*classes, BUILT_IN_CLASS}))
        problem = Verdict(False, "ClassNotFound", f"no LiveStreamClass {name}; there are: {known}")
        return None, LiveStreamClassSpec(), problem
    cls = spec_of(found, LiveStreamClassSpec)
    namespace = stream["metadata"]["namespace"]
    allowed = cls.allowed_namespaces
    if allowed.from_ != "All" and not (allowed.from_ == "Selector" and namespace in allowed.names):
        message = f"LiveStreamClass {name} is not for namespace {namespace}"
        return name, cls, Verdict(False, "NamespaceNotAllowed", message)
    return name, cls, None


def _own_key(secret: Object | None, name: str, key: str) -> tuple[str | None, Verdict | None]:
    value = secret_value(secret, key)
    if value is None:
        what = f"Secret {name} has no key {key}" if secret else f"there is no Secret {name}"
        return None, Verdict(False, "StreamKeySecretMissing", f"{what} in this namespace")
    try:
        return identity.own_stream_key(value), None
    except ValueError as error:
        return None, Verdict(False, "StreamKeyUnusable", f"the stream key in Secret {name} {error}")


def _fingerprint(root: bytes, key: str | None) -> str | None:
    return None if key is None else identity.fingerprint(identity.fingerprint_key(root), key)


def _conflict(conflicts: tuple[tuple[str, str], ...]) -> Verdict:
    for playback_id, holder in conflicts:
        if not playback_id:
            return Verdict(False, "StreamKeyConflict", f"{holder} has the same stream key")
    told = "; ".join(f"{playback_id} belongs to {holder}" for playback_id, holder in conflicts)
    return Verdict(False, "PlaybackIDConflict", told)
