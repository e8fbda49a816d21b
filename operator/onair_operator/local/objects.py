"""The objects of `onair local`: what the API server is on a cluster, as one YAML file an object.

Written whole and atomically, only when something changed; Secrets with mode 0600. All are held in memory, too. Disk
work happens in threads: the event loop with all its publishers never waits for fsync.
"""

from __future__ import annotations

import asyncio
import copy
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from onair_core.local_state import LocalState
from onair_core.manifests import Identity
from onair_operator.decide.times import timestamp

SOURCE = "onair.dev/source"
"""Annotation: the manifest file an object comes from. Objects without it were made by OnAir."""

_OWN_PREFIX = "onair.dev/"
Object = dict[str, Any]


class Change(Enum):
    """What applying a manifest did."""

    CREATED = auto()
    UPDATED = auto()  # spec or data: another generation
    RELABELLED = auto()  # labels or annotations only
    NONE = auto()


class Objects:
    """All objects below a state folder. One task at a time may write; who reads sees what is on disk."""

    def __init__(self, state: LocalState) -> None:
        self._state = state
        self._objects: dict[Identity, Object] = {}
        self._version = 0
        # One thread: a write whose waiter was cancelled is over before the next one begins.
        self._disk = ThreadPoolExecutor(1, "objects")
        for file in sorted(state.objects.glob("*/*/*.yaml")):
            value = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
            if isinstance(value, dict) and "metadata" in value:
                self._objects[identity_of(value)] = value
                self._version = max(self._version, int(value["metadata"].get("resourceVersion", 0)))

    def get(self, identity: Identity) -> Object | None:
        """A copy; None when there is none."""
        return copy.deepcopy(self._objects.get(identity))

    def all(self, kind: str) -> Iterator[Object]:
        """Copies of all objects of a kind, the oldest first."""
        found = [value for identity, value in self._objects.items() if identity[0] == kind]
        for value in sorted(found, key=lambda v: (v["metadata"]["creationTimestamp"], v["metadata"]["name"])):
            yield copy.deepcopy(value)

    async def apply(self, value: Object, now: float, source: str | None = None) -> Change:
        """Makes an object what a manifest says. Status and annotations that OnAir made stay."""
        identity = identity_of(value)
        before = self._objects.get(identity)
        annotations = dict(value["metadata"].get("annotations", {}))
        if source is not None:
            annotations[SOURCE] = source
        if before is None:
            metadata = {
                **value["metadata"],
                "annotations": annotations,
                "uid": str(uuid.uuid4()),
                "generation": 1,
                "creationTimestamp": timestamp(now),
            }
            await self._write({**value, "metadata": metadata})
            return Change.CREATED
        kept = before["metadata"]
        for name, text in kept.get("annotations", {}).items():
            if name.startswith(_OWN_PREFIX) and name != SOURCE:
                annotations.setdefault(name, text)
        content = {name: part for name, part in value.items() if name != "metadata"}
        changed = any(before.get(name) != part for name, part in content.items()) or ("spec" in before) != (
            "spec" in value
        )
        metadata = {**kept, "annotations": annotations, "labels": value["metadata"].get("labels", {})}
        if not metadata["labels"]:
            del metadata["labels"]
        if changed:
            metadata["generation"] = kept["generation"] + 1
        made = {**content, "metadata": metadata}
        if "status" in before:
            made["status"] = before["status"]
        if not changed and made["metadata"] == kept:
            return Change.NONE
        await self._write(made)
        return Change.UPDATED if changed else Change.RELABELLED

    async def update(self, value: Object) -> bool:
        """Writes an object back; False when nothing is different."""
        before = self._objects.get(identity_of(value))
        if before is not None and _without_version(before) == _without_version(value):
            return False
        await self._write(value)
        return True

    async def delete(self, identity: Identity) -> None:
        """Removes an object."""
        if identity in self._objects:
            await self._on_disk(partial(self._state.path(*identity).unlink, missing_ok=True))
            del self._objects[identity]

    async def _write(self, value: Object) -> None:
        self._version += 1
        value = copy.deepcopy(value)
        value["metadata"]["resourceVersion"] = str(self._version)
        identity = identity_of(value)
        ordered = {name: value[name] for name in _ORDER if name in value} | value
        text = yaml.dump(
            ordered, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False, allow_unicode=True
        )
        mode = 0o600 if identity[0] == "Secret" else 0o644
        await self._on_disk(partial(_replace, self._state.path(*identity), text, mode))
        self._objects[identity] = value

    async def _on_disk(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _replace(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


_ORDER = ("apiVersion", "kind", "metadata", "type", "spec", "data", "status")


def identity_of(value: Object) -> Identity:
    """(kind, namespace, name)."""
    metadata = value["metadata"]
    return value["kind"], metadata.get("namespace", ""), metadata["name"]


def _without_version(value: Object) -> Object:
    metadata = {name: part for name, part in value["metadata"].items() if name != "resourceVersion"}
    return {**value, "metadata": metadata}
