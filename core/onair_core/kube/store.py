"""What lists and a watch say about one kind, put together: the newest object of each key, and what changed. Pure.

Versions are compared as numbers, as Kubernetes allows since 1.35 and has always been the case with etcd.

* `position` is the version up to which everything is known: that of the list, then of each watched event and bookmark.
* A list replaces everything: what it does not name is gone. It comes in pages; between `begin` and `end` the store may
  hold both what is new and what will turn out to be gone.
* What a writer was answered may be put in with `learn`, so that the watch's echo of it is no news. It only counts when
  it is newer than `position`: otherwise the watch has already told, perhaps even that the object is deleted.

Objects are kept as JSON, in a third of the memory that they take as dicts; the garbage collector has nothing to look
through, and who asks for one has it for himself. Reading one takes about as long as copying it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

import msgspec

Object = dict[str, Any]


class Key(NamedTuple):
    """`namespace` is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Change(NamedTuple):
    """`old` is None for what is new, `new` for what is gone, never both.

    An object that was deleted and made again is two changes, also when that happened unseen.
    """

    key: Key
    old: Object | None
    new: Object | None


def key_of(found: Mapping[str, Any]) -> Key:
    metadata = found["metadata"]
    return Key(intern(metadata.get("namespace") or ""), metadata["name"])


def version_of(found: Mapping[str, Any]) -> int:
    """Raises `ValueError` when the API server has other versions than numbers."""
    return int(found["metadata"]["resourceVersion"])


_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], Object] = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class Store:
    """See above. `trim`: what of an object is kept."""

    metadata_only: bool = False
    trim: Callable[[Object], Object] = lambda found: found
    position: int | None = None
    _objects: dict[Key, bytes] = field(default_factory=dict)
    _seen: set[Key] | None = None
    _rewound: bool = False

    def get(self, key: Key) -> Object | None:
        found = self._objects.get(key)
        return None if found is None else _decode(found)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._objects)

    def items(self) -> Iterator[tuple[Key, Object]]:
        for key, found in self._objects.items():
            yield key, _decode(found)

    def __len__(self) -> int:
        return len(self._objects)

    # A list.

    def begin(self, version: int) -> None:
        """A list of that version comes; one that was begun and not ended is forgotten."""
        # An etcd that was restored from a backup counts from there: what seems newer is from a history that is no more.
        self._rewound = self.position is not None and version < self.position
        self.position = version
        self._seen = set()

    def listed(self, objects: Iterable[Object]) -> Iterator[Change]:
        """One page. Take the changes as they come: each is made before it is told."""
        assert self._seen is not None, "begin() comes first"
        for found in objects:
            self._seen.add(key_of(found))
            yield from self._put(found, older_too=self._rewound)

    def end(self) -> Iterator[Change]:
        """All pages are there: what was not among them is gone, but for what was learned since."""
        assert self._seen is not None and self.position is not None, "begin() comes first"
        seen, self._seen = self._seen, None
        for key in [key for key in self._objects if key not in seen]:
            known = self.get(key)
            if known is not None and (self._rewound or version_of(known) <= self.position):
                yield from self._remove(key, known)

    # A watch.

    def watched(self, kind: str, found: Object) -> Iterator[Change]:
        """ADDED, MODIFIED, DELETED or BOOKMARK. What is older than what is known changes nothing."""
        version = version_of(found)
        if kind == "DELETED":
            known = self.get(key_of(found))
            if known is not None and (version_of(known) <= version or _uid(known) == _uid(found)):
                yield from self._remove(key_of(found), known)
        elif kind != "BOOKMARK":
            yield from self._put(found)
        self.position = max(self.position or 0, version)

    # A write.

    def learn(self, answered: Object) -> Iterator[Change]:
        """What the API server answered to a write of ours."""
        if self.position is not None and version_of(answered) > self.position:
            yield from self._put(answered)

    def _put(self, found: Object, *, older_too: bool = False) -> Iterator[Change]:
        key, new = key_of(found), self._kept(found)
        old = self.get(key)
        if old is not None:
            if version_of(old) == version_of(new) or (version_of(old) > version_of(new) and not older_too):
                return
            if _uid(old) != _uid(new):
                yield from self._remove(key, old)
                old = None
        self._objects[key] = _encode(new)
        yield Change(key, old, new)

    def _remove(self, key: Key, known: Object) -> Iterator[Change]:
        del self._objects[key]
        yield Change(key, known, None)

    def _kept(self, found: Object) -> Object:
        """Without `managedFields`, which are often half of an object and nobody's business here."""
        metadata = {name: value for name, value in found["metadata"].items() if name != "managedFields"}
        return self.trim({"metadata": metadata} if self.metadata_only else found | {"metadata": metadata})


def _uid(found: Mapping[str, Any]) -> object:
    return found["metadata"].get("uid")
