"""The objects of `onair local`: what the API server is on a cluster, as one YAML file an object.

Written whole and atomically, only when something changed; Secrets with mode 0600. All are held in memory, too. Disk
work happens in threads: the event loop with all its publishers never waits for fsync.
"""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from functools import partial
from pathlib import Path

import structlog
import yaml

from onair_core.local_state import LocalState
from onair_core.manifests import COMPLETE, Identity
from onair_operator.decide.times import timestamp
from onair_operator.local import durable
from onair_operator.local.bookkeeping import BOOKKEEPING, SOURCE, Object, note, noted

log = structlog.get_logger(__name__)

DAMAGED = ".damaged"
"""Added to the name of a file that holds no object: it is kept, and not looked at again."""


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
            value = _read(file)
            if value is not None:
                self._objects[identity_of(value)] = value
                self._version = max(self._version, int(value["metadata"]["resourceVersion"]))

    def get(self, identity: Identity) -> Object | None:
        """A copy; None when there is none."""
        return copy.deepcopy(self._objects.get(identity))

    def all(self, kind: str) -> Iterator[Object]:
        """Copies of all objects of a kind, the oldest first."""
        found = [value for identity, value in self._objects.items() if identity[0] == kind]
        for value in sorted(found, key=lambda v: (v["metadata"]["creationTimestamp"], v["metadata"]["name"])):
            yield copy.deepcopy(value)

    async def apply(self, value: Object, now: float, source: str | None = None) -> Change:
        """Makes an object what a manifest says. Status and what OnAir noted stay. `source`: the manifest's file."""
        identity = identity_of(value)
        before = self._objects.get(identity)
        if before is None:
            metadata = {
                **value["metadata"],
                "uid": str(uuid.uuid4()),
                "generation": 1,
                "creationTimestamp": timestamp(now),
            }
            made = {**value, "metadata": metadata}
            if source is not None:
                note(made, SOURCE, source)
            await self._write(made)
            return Change.CREATED
        kept = before["metadata"]
        annotations = dict(value["metadata"].get("annotations", {}))
        if COMPLETE in kept.get("annotations", {}):
            annotations.setdefault(COMPLETE, kept["annotations"][COMPLETE])
        content = {name: part for name, part in value.items() if name != "metadata"}
        changed = any(before.get(name) != part for name, part in content.items()) or ("spec" in before) != (
            "spec" in value
        )
        metadata = {**kept, "annotations": annotations, "labels": value["metadata"].get("labels", {})}
        for name in ("labels", "annotations"):
            if not metadata[name]:
                del metadata[name]
        if changed:
            metadata["generation"] = kept["generation"] + 1
        made = {**content, "metadata": metadata}
        for name in ("status", BOOKKEEPING):
            if name in before:
                made[name] = copy.deepcopy(before[name])
        if source is not None:
            note(made, SOURCE, source)
        if not changed and made["metadata"] == kept and noted(made, SOURCE) == noted(before, SOURCE):
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
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.sync_folder(path.parent.parent)
    durable.replace(path, text.encode(), mode)


def _read(file: Path) -> Object | None:
    """None for a file that holds no object; it is put aside."""
    try:
        value = yaml.load(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        metadata = value["metadata"]
        whole = isinstance(value["kind"], str) and isinstance(metadata["generation"], int)
        whole = whole and all(isinstance(metadata[name], str) for name in ("name", "uid", "creationTimestamp"))
        int(metadata["resourceVersion"])
        problem = "" if whole else "no object"
    except (yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = str(error)
    if not problem:
        return dict(value)
    aside = file.with_name(file.name + DAMAGED)
    log.error("an object's file is damaged, and put aside", file=str(file), aside=aside.name, problem=problem)
    file.replace(aside)
    return None


_ORDER = ("apiVersion", "kind", "metadata", "type", "spec", "data", "status", BOOKKEEPING)


def identity_of(value: Object) -> Identity:
    """(kind, namespace, name)."""
    metadata = value["metadata"]
    return value["kind"], metadata.get("namespace", ""), metadata["name"]


def _without_version(value: Object) -> Object:
    metadata = {name: part for name, part in value["metadata"].items() if name != "resourceVersion"}
    return {**value, "metadata": metadata}
