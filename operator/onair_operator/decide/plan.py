"""What a LiveStream shall be right now: class, key, playback IDs, channel, and whether it could be Ready. Pure.

In two steps, since what a stream gets depends on what the others ask for: `draft` says what it asks for, and
`finish`, with what was granted, what it shall be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onair_core import identity
from onair_core.contract import ChannelConfig, PlaybackEntry, StreamRef
from onair_core.manifests import LiveStreamClassSpec, LiveStreamSpec, spec_of
from onair_operator.decide.classes import BUILT_IN_CLASS, default_class
from onair_operator.decide.conditions import Verdict
from onair_operator.decide.grants import Claim, Grant
from onair_operator.desired.channel import channel_config
from onair_operator.desired.naming import stream_key_secret_name
from onair_operator.desired.secrets import STREAM_KEY, secret_value
from onair_operator.desired.store import store_settings

# Reasons that say nothing against the key itself: a publisher is not cut for them.
_KEEP_KEY = ("SecretNotOwned",)
NOT_PROVISIONED = ("ClassNotFound", "NamespaceNotAllowed")
"""Reasons for which nothing is made or changed: there is no class to say how."""
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """What one LiveStream asks for.

    `class_name`: None when there is no such class. `generated_key`: to be kept in a Secret of its own; `key_secret`:
    (name, key) of the Secret that has the key. `problem`: why it cannot be Ready, whatever is granted.
    """

    stream: Object = field(repr=False)
    ref: StreamRef
    spec: LiveStreamSpec
    class_name: str | None
    cls: LiveStreamClassSpec
    claim: Claim
    problem: Verdict | None
    key_secret: tuple[str, str]
    key: str | None = field(repr=False)
    generated_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """One LiveStream's. `key_fingerprint`: of the key that it holds now; the rest as in `Draft`."""

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


def draft(
    stream: Object,
    classes: Mapping[str, Object],
    *,
    root: bytes,
    secret: Callable[[str, str], Object | None],
    is_foreign: Callable[[str, str], bool],
    built_in: bool,
) -> Draft:
    """`secret(namespace, name)` finds Secrets; `is_foreign(namespace, name)`: one of that name is somebody else's.

    `built_in`: the class `standard` need not be declared. Not on a cluster: were it deleted there, by mistake or to be
    made anew, every channel would become one of an emptyDir without limits.
    """
    ref, spec = stream_ref(stream), spec_of(stream, LiveStreamSpec)
    class_name, cls, problem = _class(stream, spec, classes, built_in=built_in)
    generated = None
    reference = spec.stream_key.secret_ref
    if reference is None:
        key: str | None = identity.stream_key(root, ref.namespace, ref.name, spec.stream_key.rotation)
        key_secret = (stream_key_secret_name(ref.name), STREAM_KEY)
        if is_foreign(ref.namespace, key_secret[0]):
            message = f"Secret {key_secret[0]} is not OnAir's; the generated stream key needs that name"
            problem = problem or Verdict(False, "SecretNotOwned", message)
        else:
            generated = key
    else:
        key_secret = (reference.name, reference.key)
        key, key_problem = _own_key(secret(ref.namespace, reference.name), *key_secret)
        problem = problem or key_problem
    usable = key if problem is None or problem.reason in _KEEP_KEY else None
    return Draft(
        stream=stream,
        ref=ref,
        spec=spec,
        class_name=class_name,
        cls=cls,
        # Its pod has the key, whatever became of its class.
        claim=_claim(stream, ref, playback_entries(ref, spec, root), _fingerprint(root, key)),
        problem=problem,
        key_secret=key_secret,
        key=usable,
        generated_key=generated,
    )


def finish(made: Draft, granted: Grant, *, default_store: str) -> Plan:
    """`default_store`: the URL, of classes that name none."""
    ready = made.problem
    if ready is None and (granted.conflicts or granted.key_holder):
        ready = _conflict(granted, made.ref.namespace)
    if ready is None and made.spec.disabled:
        ready = Verdict(True, "Disabled", "The stream is disabled and refuses publishers.")
    has_key = granted.key_holder is None
    return Plan(
        stream=made.stream,
        ref=made.ref,
        spec=made.spec,
        class_name=made.class_name,
        cls=made.cls,
        config=channel_config(
            made.ref,
            made.spec,
            made.cls,
            key=made.key if has_key else None,
            playback=granted.entries,
            store=store_settings(made.cls.store, default_store),
        ),
        ready=ready or Verdict(True, "AcceptingPublisher", "A publisher with the stream key can go live."),
        key_secret=made.key_secret,
        key_fingerprint=made.claim.key if has_key else None,
        generated_key=made.generated_key,
    )


def playback_entries(ref: StreamRef, spec: LiveStreamSpec, root: bytes) -> tuple[PlaybackEntry, ...]:
    """What a LiveStream's playback asks for: its own IDs, else derived ones."""
    return tuple(
        PlaybackEntry(
            entry.name, entry.id or identity.playback_id(root, ref.namespace, ref.name, entry.name), entry.policy
        )
        for entry in spec.playback
    )


def claim_before_reading(stream: Object, root: bytes, before: Claim | None = None) -> Claim:
    """What a stream claims as far as it can be told without its Secret: a key of its own is the one that was read last.

    `before`: its claim, if that is of the same key; without one the key is what status records: what it holds.
    """
    ref, spec = stream_ref(stream), spec_of(stream, LiveStreamSpec)
    if spec.stream_key.secret_ref is None:
        key = _fingerprint(root, identity.stream_key(root, ref.namespace, ref.name, spec.stream_key.rotation))
    else:
        key = before.key if before is not None else _held_key(stream)
    return _claim(stream, ref, playback_entries(ref, spec, root), key)


def _claim(stream: Object, ref: StreamRef, entries: tuple[PlaybackEntry, ...], key: str | None) -> Claim:
    return Claim(
        uid=ref.uid,
        name=str(ref),
        created_at=stream["metadata"]["creationTimestamp"],
        entries=entries,
        key=key,
        held=frozenset(entry["id"] for entry in stream.get("status", {}).get("playback", [])),
        holds_key=key is not None and _held_key(stream) == key,
    )


def _held_key(stream: Object) -> str | None:
    found: str | None = stream.get("status", {}).get("ingest", {}).get("streamKeyFingerprint")
    return found


def _class(
    stream: Object, spec: LiveStreamSpec, classes: Mapping[str, Object], *, built_in: bool
) -> tuple[str | None, LiveStreamClassSpec, Verdict | None]:
    """The class a stream is bound to: named, bound before, marked as default, or `standard`."""
    name = spec.class_name or stream.get("status", {}).get("className") or default_class(classes.values())
    found = classes.get(name)
    if found is None:
        if built_in and name == BUILT_IN_CLASS:
            return name, LiveStreamClassSpec(), None
        known = sorted({*classes, BUILT_IN_CLASS} if built_in else classes)
        there_are = f"there are: {', '.join(known)}" if known else "there is none at all"
        return None, LiveStreamClassSpec(), Verdict(False, "ClassNotFound", f"no LiveStreamClass {name}; {there_are}")
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


def _conflict(granted: Grant, namespace: str) -> Verdict:
    """Who may see one namespace learns nothing of the others."""

    def seen(holder: str) -> str:
        kind, _, name = holder.rpartition(" ")
        return holder if name.startswith(f"{namespace}/") else f"{kind or 'a LiveStream'} of another namespace"

    if granted.key_holder is not None:
        message = f"{seen(granted.key_holder)} has the same stream key; use another one"
        return Verdict(False, "StreamKeyTaken", message)
    told = "; ".join(f"{playback_id} belongs to {seen(holder)}" for playback_id, holder in granted.conflicts)
    return Verdict(False, "PlaybackIdTaken", f"{told}; choose another id")
