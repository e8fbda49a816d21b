"""`metadata` as the API server judges it, and the annotations that belong to OnAir."""

from __future__ import annotations

import re
from typing import Any

from onair_core.manifests.crd import GROUP
from onair_core.manifests.load import Document, Problem

OWN_PREFIX = f"{GROUP}/"
COMPLETE = OWN_PREFIX + "complete"
"""Annotation: ends the broadcast of this id, once, and may stay."""
DEFAULT_CLASS = OWN_PREFIX + "is-default-class"
"""Annotation of a LiveStreamClass, "true": it is the default."""
FOR_USERS = (COMPLETE, DEFAULT_CLASS)

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_FIELDS = frozenset(
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
_MAX_ANNOTATIONS_BYTES = 256 * 1024


def metadata_problems(document: Document, *, namespaced: bool) -> list[Problem]:
    """What is wrong with a document's `metadata`."""
    metadata = document.value.get("metadata")
    if not isinstance(metadata, dict):
        return [document.problem(("metadata",), "is required")]
    problems = [document.problem(("metadata", name), "unknown field") for name in metadata if name not in _FIELDS]
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
    for part in ("labels", "annotations"):
        content = metadata.get(part)
        if isinstance(content, dict):
            problems += _map_problems(document, part, content)
        elif content is not None:
            problems.append(document.problem(("metadata", part), "must be an object"))
    return problems


def _map_problems(document: Document, part: str, content: dict[str, Any]) -> list[Problem]:
    problems = []
    for key, text in content.items():
        path = ("metadata", part, key)
        if not _is_qualified_name(key):
            problems.append(document.problem(path, "is not a valid key"))
        elif not isinstance(text, str):
            problems.append(document.problem(path, f'must be a string; put it in quotes: "{text}"'))
        elif part == "labels" and (len(text) > 63 or not _LABEL_VALUE.fullmatch(text)):
            problems.append(document.problem(path, f"is not a valid label value: {text!r}"))
        elif part == "annotations" and key.startswith(OWN_PREFIX) and key not in FOR_USERS:
            message = f"{OWN_PREFIX} is OnAir's own; what may be set is {' and '.join(FOR_USERS)}"
            problems.append(document.problem(path, message))
    size = sum(len(key.encode()) + len(str(text).encode()) for key, text in content.items())
    if part == "annotations" and size > _MAX_ANNOTATIONS_BYTES:
        problems.append(document.problem(("metadata", part), f"has {size} bytes; {_MAX_ANNOTATIONS_BYTES} are allowed"))
    return problems


def _is_qualified_name(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return False
    return len(name) <= 63 and _QUALIFIED_NAME.fullmatch(name) is not None
