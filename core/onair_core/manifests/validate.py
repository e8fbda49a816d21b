"""Documents to valid, defaulted objects, each judged as the API server would judge it."""

from __future__ import annotations

import base64
import binascii
import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from onair_core.manifests.crd import API_VERSION, GROUP, Crd, crds
from onair_core.manifests.load import Document, Identity, Loaded, Problem
from onair_core.manifests.metadata import metadata_problems
from onair_core.manifests.schema import problems as schema_problems
from onair_core.manifests.schema import with_defaults

DEFAULT_NAMESPACE = "default"
_RESEMBLES = 0.8


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
    """What the documents declare.

    `broken`: identities whose document is there, but not valid. `skipped`: documents of other kinds. `unreadable`:
    files and folders of which it is not known what they declare; absolute.
    """

    manifests: dict[Identity, Manifest] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[Identity] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)


def validate(loaded: Loaded, old: Callable[[Identity], dict[str, Any] | None] = lambda _: None) -> Validated:
    """Judges every document; one that is wrong does not stop the others.

    `old`: the object as it is now, if it exists. A wrong document of no object that exists may be one that does, with
    a mistake in its kind or name: its file counts as unreadable.
    """
    result = Validated(problems=list(loaded.problems), unreadable=set(loaded.unreadable))
    for document in loaded.documents:
        judged = _judge(document, old)
        if isinstance(judged, str):
            result.skipped.append(judged)
            continue
        identity, value, problems = judged
        if identity is None or problems:
            result.problems += sorted(problems)
            if identity is None or old(identity) is None:
                result.unreadable.add(document.source)
            if identity is not None:
                result.broken.add(identity)
            continue
        if identity in result.manifests:
            first = result.manifests[identity].document
            where = f"{first.file}:{first.lines.get((), 1)}"
            message = f"{identity[0]} {identity[2]} is declared twice; the first one, in {where}, counts"
            result.problems.append(document.problem(("metadata", "name"), message))
            continue
        result.manifests[identity] = Manifest(identity, value, document)
    return result


_Judged = tuple[Identity | None, dict[str, Any], list[Problem]]


def _judge(document: Document, old: Callable[[Identity], dict[str, Any] | None]) -> _Judged | str:
    """Identity, object and problems; or why it is none of OnAir's business."""
    kind, api_version = document.value.get("kind"), document.value.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(api_version, str):
        return None, {}, [document.problem((), "expected an object with apiVersion and kind")]
    if kind == "Secret" and api_version == "v1":
        return _identity(document, namespaced=True), *_secret(document)
    if api_version.split("/")[0] != GROUP and not _resembles_ours(kind, api_version):
        return f"{document.file}: {kind} is not OnAir's; skipped"
    crd = crds().get(kind)
    if crd is None or api_version != API_VERSION:
        known = f"{API_VERSION}: {', '.join(sorted(crds()))}; v1: Secret"
        return None, {}, [document.problem(("kind",), f"unknown kind {kind} in {api_version}; known are {known}")]
    identity = _identity(document, crd.namespaced)
    if kind == "Asset":
        return identity, {}, [document.problem(("kind",), "Assets are made by OnAir, one for each broadcast")]
    return identity, *_custom(document, crd, old(identity) if identity else None)


def _resembles_ours(kind: str, api_version: str) -> bool:
    """Whether a slip of the pen may have made this of a document of ours."""
    group, slash, _ = api_version.rpartition("/")
    if slash and difflib.SequenceMatcher(None, group, GROUP).ratio() < _RESEMBLES:
        return False
    return bool(difflib.get_close_matches(kind, [*crds(), "Secret"], 1, _RESEMBLES))


def _identity(document: Document, namespaced: bool) -> Identity | None:
    found = document.identity
    if found is None:
        return None
    kind, namespace, name = found
    declared = document.value["metadata"].get("namespace")
    if declared is not None and not isinstance(declared, str):
        return None
    return kind, (namespace or DEFAULT_NAMESPACE) if namespaced else "", name


def _custom(document: Document, crd: Crd, old: dict[str, Any] | None) -> tuple[dict[str, Any], list[Problem]]:
    problems = metadata_problems(document, namespaced=crd.namespaced)
    # Defaults come first, as on the API server: two entries without a name have the same name.
    value = with_defaults({name: part for name, part in document.value.items() if name != "status"}, crd.schema)
    found = schema_problems(value, crd.schema, old, rules=not problems)  # a rule is about metadata.name
    problems += [document.problem(path, message) for path, message in found]
    return {} if problems else _clean(value, "spec", namespaced=crd.namespaced), problems


def _secret(document: Document) -> tuple[dict[str, Any], list[Problem]]:
    problems = metadata_problems(document, namespaced=True)
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
                data[key] = text.replace("\n", "").replace("\r", "")  # as Go's decoder takes it
                try:
                    base64.b64decode(data[key], validate=True)
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
