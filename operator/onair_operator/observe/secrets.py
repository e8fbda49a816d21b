"""The contents of Secrets that others have made: asked for when they are needed, and again when they have changed."""

from __future__ import annotations

from typing import Any

from onair_core.kube.client import Client
from onair_core.kube.errors import NotFound
from onair_core.kube.resources import SECRETS
from onair_core.kube.store import Key, version_of
from onair_operator.observe.cache import Cache

Object = dict[str, Any]


class SecretReader:
    """`known` follows the metadata of all Secrets."""

    def __init__(self, client: Client, known: Cache) -> None:
        self._client = client
        self._known = known
        self._read: dict[Key, Object] = {}
        known.on_change(self._change, own=True)

    async def read(self, namespace: str, name: str) -> Object | None:
        """None: there is none. Raises `KubeError`."""
        key = Key(namespace, name)
        if self._known.watches(namespace) and self._known.get(key) is None:
            return None
        if (known := self._read.get(key)) is not None:
            return known
        try:
            found = await self._client.get(SECRETS, name, namespace)
        except NotFound:
            return None
        metadata = self._known.get(key)
        if metadata is not None and version_of(metadata) <= version_of(found):  # else it has changed meanwhile
            self._read[key] = found
        return found

    def _change(self, key: Key, _old: Object | None, _new: Object | None) -> None:
        self._read.pop(key, None)
