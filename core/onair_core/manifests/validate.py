"""Documents to valid, defaulted objects, each judged as the API server would judge it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from onair_core.manifests.crd import API_VERSION, GROUP, Crd, crds
from onair_core.manifests.load import Document, Loaded, Problem
from onair_core.manifests.schema import rule_problems, shape_problems, with_defaults

DEFAULT_NAMESPACE = "default"
Identity = tuple[str, str, str]
"""(kind, namespace, name); the namespace is empty for cluster-scoped kinds."""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_METADATA = frozenset(
    [
        "name",
        "namespace",
        "labels",
        "annotations",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "finalizers",
        "ownerReferences",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ]
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A valid object.

    `value` has apiVersion, kind, metadata (name, namespace, labels, annotations) and spec or data.
    """

    identity: Identity
    value: dict[str, Any]
    document: Document = field(repr=False)


@dataclass(slots=True)
class Validated:
    """`broken`: identities whose document is there, but not valid. `skipped`: documents of other kinds.

    `unreadable`: files whose documents are unknown now.
    """

    manifests: dict[Identity, Manifest] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[Identity] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)


def validate(loaded: Loaded, old: Callable[[Identity], dict[str, Any] | None] = lambda _: None) -> Validated:
    """Judges every document; one that is wrong does not stop the others.

    `old`: the object as it is now, if it exists.
    """
    result = Validated(problems=list(loaded.problems), unreadable=set(loaded.unreadable))
    for document in loaded.documents:
        kind, api_version = document.value.get("kind"), document.value.get("apiVersion")
        if kind == "Secret" and api_version == "v1":
            value, problems = _secret(document)
            namespaced = True
        elif isinstance(api_version, str) and api_version.split("/")[0] == GROUP:
            crd = crds().get(kind) if isinstance(kind, str) else None
            if crd is None or api_version != API_VERSION:
                known = f"{API_VERSION}: {', '.join(sorted(crds()))}"
                result.problems.append(
                    document.problem(("kind",), f"unknown kind {kind} in {api_version}; known are {known}")
                )
                continue
            namespaced = crd.namespaced
            identity = _identity(document, namespaced)
            value, problems = _custom(document, crd, old(identity) if identity else None)
        elif isinstance(kind, str) and isinstance(api_version, str):
            result.skipped.append(f"{document.file}: {kind} is not OnAir's; skipped")
            continue
        else:
            result.problems.append(document.problem((), "expected an object with apiVersion and kind"))
            continue
        identity = _identity(document, namespaced)
        if identity is None or problems:
            result.problems += sorted(problems)
            if identity is not None:
                result.broken.add(identity)
            continue
        if identity in result.manifests:
            first = result.manifests[identity].document
            where = f"{first.file}:{first.lines.get((), 1)}"
            message = f"{kind} {identity[2]} is declared twice; the first one, in {where}, counts"
            result.problems.append(document.problem(("metadata", "name"), message))
            continue
        result.manifests[identity] = Manifest(identity, value, document)
    return result


def _identity(document: Document, namespaced: bool) -> Identity | None:
    found = document.identity
    if found is None:
        return None
    kind, namespace, name = found
    return kind, (namespace or DEFAULT_NAMESPACE) if namespaced else "", name


def _custom(document: Document, crd: Crd, old: dict[str, Any] | None) -> tuple[dict[str, Any], list[Problem]]:
    problems = _metadata_problems(document, namespaced=crd.namespaced)
    # Defaults come first, as on the API server: two entries without a name have the same name.
    value = with_defaults({name: part for name, part in document.value.items() if name != "status"}, crd.schema)
    problems += [document.problem(path, message) for path, message in shape_problems(value, crd.schema)]
    if problems:
        return {}, problems  # rules are only meaningful for values of the right shape
    problems += [document.problem(path, message) for path, message in rule_problems(value, crd.schema, old)]
    return _clean(value, "spec", namespaced=crd.namespaced), problems


def _secret(document: Document) -> tuple[dict[str, Any], list[Problem]]:
    problems = _metadata_problems(document, namespaced=True)
    data: dict[str, str] = {}
    for part in ("data", "stringData"):
        content = document.value.get(part) or {}
        if not isinstance(content, dict):
            problems.append(document.problem((part,), "must be an object"))
            continue
        for key, text in content.items():
            if not isinstance(text, str):
                problems.append(document.problem((part, key), "must be a string"))
            elif part == "stringData":
                data[key] = base64.b64encode(text.encode()).decode()
            else:
                try:
                    base64.b64decode(text, validate=True)
                    data[key] = text
                except (binascii.Error, ValueError):
                    problems.append(document.problem((part, key), "must be base64; plain text goes into stringData"))
    value = _clean(document.value, "type", namespaced=True)
    return {**value, "data": data}, problems


def _clean(value: dict[str, Any], content: str, *, namespaced: bool) -> dict[str, Any]:
    metadata = value.get("metadata") or {}
    kept: dict[str, Any] = {"name": metadata.get("name")}
    if namespaced:
        kept["namespace"] = metadata.get("namespace") or DEFAULT_NAMESPACE
    for name in ("labels", "annotations"):
        if metadata.get(name):
            kept[name] = dict(metadata[name])
    cleaned = {"apiVersion": value.get("apiVersion"), "kind": value.get("kind"), "metadata": kept}
    if content in value:
        cleaned[content] = value[content]
    return cleaned


def _metadata_problems(document: Document, *, namespaced: bool) -> list[Problem]:
    metadata = document.value.get("metadata")
    if not isinstance(metadata, dict):
        return [document.problem(("metadata",), "is required")]
    problems = [document.problem(("metadata", name), "unknown field") for name in metadata if name not in _METADATA]
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if name is None:
        problems.append(document.problem(("metadata", "name"), "is required"))
    elif not isinstance(name, str) or len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        text = "must be lower-case letters, digits, '-' or '.', and begin and end with a letter or digit"
        problems.append(document.problem(("metadata", "name"), f"{text}; it is {name!r}"))
    if namespace is not None:
        if not namespaced:
            problems.append(document.problem(("metadata", "namespace"), "this kind is cluster-scoped; leave it out"))
        elif not isinstance(namespace, str) or len(namespace) > 63 or not _LABEL.fullmatch(namespace):
            problems.append(document.problem(("metadata", "namespace"), f"is not a namespace's name: {namespace!r}"))
    for part, pattern in (("labels", _LABEL_VALUE), ("annotations", None)):
        content = metadata.get(part)
        if content is None:
            continue
        if not isinstance(content, dict):
            problems.append(document.problem(("metadata", part), "must be an object"))
            continue
        for key, text in content.items():
            path = ("metadata", part, key)
            if not _QUALIFIED.fullmatch(key):
                problems.append(document.problem(path, "is not a valid key"))
            elif not isinstance(text, str):
                problems.append(document.problem(path, f'must be a string; put it in quotes: "{text}"'))
            elif pattern is not None and (len(text) > 63 or not pattern.fullmatch(text)):
                problems.append(document.problem(path, f"is not a valid label value: {text!r}"))
    return problems
