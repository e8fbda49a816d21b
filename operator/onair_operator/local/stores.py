"""The stores that classes name, with the Secrets among the manifests that open them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from onair_core.contract import StoreSettings
from onair_core.manifests import LiveStreamClassSpec, spec_of
from onair_media.store import Stores
from onair_operator.desired.secrets import secret_value
from onair_operator.desired.store import store_settings
from onair_operator.local.objects import Objects


class ClassStores:
    """`default_url`: of classes that name none."""

    def __init__(self, objects: Objects, stores: Stores, default_url: str) -> None:
        self._objects = objects
        self._stores = stores
        self._default_url = default_url

    def know(self) -> set[str]:
        """The URLs of all stores that there may be something in; tells `Stores` what each of them needs."""
        found = {settings.url: settings for _, settings in self._named()}
        for settings in found.values():
            self._stores.know(settings)
        self._stores.refresh()
        return {self._default_url, *found}

    def credentials(self, url: str) -> Mapping[str, str]:
        """What the manifests have for the store at a URL; nothing: what the environment gives."""
        for spec, settings in self._named():
            if settings.url == url and spec.store is not None and spec.store.secret_ref is not None:
                return self._secret(spec.store.secret_ref.name)
        return {}

    async def check(self, cls: dict[str, Any]) -> None:
        """Raises `StoreError` when nothing can be recorded by that class. Object stores are not asked anything."""
        self.know()
        url = store_settings(spec_of(cls, LiveStreamClassSpec).store, self._default_url).url
        await asyncio.to_thread(self._stores.check, url)  # a folder may be on a slow disk

    def _named(self) -> list[tuple[LiveStreamClassSpec, StoreSettings]]:
        specs = [spec_of(value, LiveStreamClassSpec) for value in self._objects.all("LiveStreamClass")]
        return [(spec, store_settings(spec.store, "")) for spec in specs if spec.store is not None]

    def _secret(self, name: str) -> dict[str, str]:
        """In whichever namespace: here the installation has none of its own."""
        for secret in self._objects.all("Secret"):
            if secret["metadata"]["name"] == name:
                values = {key: secret_value(secret, key) or b"" for key in secret.get("data") or {}}
                return {key: value.decode("utf-8", "replace").strip() for key, value in values.items()}
        return {}
