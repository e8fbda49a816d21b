"""One kind of objects, of all namespaces that are watched: one reflector for each, or one for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from onair_core.kube.client import Client, Selection
from onair_core.kube.reflector import Handler, Reflector
from onair_core.kube.resources import Resource
from onair_core.kube.store import Key

Object = dict[str, Any]


class Cache:
    """`namespaces` empty: all. Handlers are called for what others have changed, not for what is learned from own
    writes.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespaces: Iterable[str] = (),
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        trim: Callable[[Object], Object] = lambda found: found,
    ) -> None:
        self.resource = resource
        self.is_partial = bool(labels)
        """Whether others may have objects of any name that are not in here."""
        scopes: list[str | None] = list(namespaces) if resource.namespaced else []
        self.reflectors = {
            scope: Reflector(client, Selection(resource, scope, labels, fields, metadata_only), trim=trim)
            for scope in scopes or [None]
        }
        self._learning = False

    def get(self, key: Key) -> Object | None:
        """The object as it was last heard of."""
        reflector = self._of(key.namespace)
        return None if reflector is None else reflector.get(key)

    def items(self) -> Iterator[tuple[Key, Object]]:
        for reflector in self.reflectors.values():
            yield from reflector.items()

    def __iter__(self) -> Iterator[Key]:
        return (key for reflector in self.reflectors.values() for key in reflector)

    def __len__(self) -> int:
        return sum(map(len, self.reflectors.values()))

    def watches(self, namespace: str) -> bool:
        return self._of(namespace) is not None

    def learn(self, answered: Object) -> None:
        """What the API server answered to a write of ours: its echo is no news."""
        reflector = self._of(answered["metadata"].get("namespace") or "")
        if reflector is None:
            return
        self._learning = True
        try:
            reflector.learn(answered)
        finally:
            self._learning = False

    def hear(self, told: Object) -> None:
        """What somebody else was told by the API server, perhaps before we were."""
        reflector = self._of(told["metadata"].get("namespace") or "")
        if reflector is not None:
            reflector.learn(told)

    def on_change(self, handler: Handler, *, own: bool = False) -> None:
        """Calls `handler(key, old, new)` for each change from now on; `own`: for what was learned as well."""

        def handle(key: Key, old: Object | None, new: Object | None) -> None:
            if own or not self._learning:
                handler(key, old, new)

        for reflector in self.reflectors.values():
            reflector.on_change(handle)

    async def synced(self, namespace: str = "") -> None:
        """Until all that it has of that namespace is there."""
        if (reflector := self._of(namespace)) is not None:
            await reflector.synced.wait()

    def knows(self, namespace: str) -> bool:
        """Whether all that it has of that namespace is there."""
        reflector = self._of(namespace)
        return reflector is not None and reflector.synced.is_set()

    def is_forbidden(self, namespace: str) -> bool:
        """Whether it may not read that namespace."""
        reflector = self._of(namespace)
        return reflector is not None and reflector.is_forbidden

    def _of(self, namespace: str) -> Reflector | None:
        return self.reflectors[None] if None in self.reflectors else self.reflectors.get(namespace)


class ByLabel:
    """The objects of a cache by namespace and the value of a label: a stream's children, for one."""

    def __init__(self, cache: Cache, label: str) -> None:
        self._cache = cache
        self._label = label
        self._found: dict[Key, tuple[Key, ...]] = {}
        cache.on_change(self._change, own=True)

    def of(self, namespace: str, value: str) -> list[Object]:
        keys = self._found.get(Key(namespace, value), ())
        return [found for key in keys if (found := self._cache.get(key)) is not None]

    def _change(self, key: Key, old: Object | None, new: Object | None) -> None:
        before, now = (None if found is None else self._value(found) for found in (old, new))
        if before == now:
            return
        if before is not None:
            group = Key(key.namespace, before)
            others = tuple(each for each in self._found.get(group, ()) if each != key)
            if others:
                self._found[group] = others
            else:
                self._found.pop(group, None)
        if now is not None:
            group = Key(key.namespace, now)
            self._found[group] = (*self._found.get(group, ()), key)

    def _value(self, found: Object) -> str | None:
        value: str | None = (found["metadata"].get("labels") or {}).get(self._label)
        return value
