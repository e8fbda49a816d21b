"""One LiveStreamClass told what it is: whether streams can be bound to it, and whether it is the default."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from onair_core.kube.errors import NotFound
from onair_core.kube.resources import LIVE_STREAM_CLASSES
from onair_core.kube.store import Key
from onair_core.manifests import LiveStreamClassSpec, spec_of
from onair_operator.apply.writer import Writer
from onair_operator.decide.classes import class_status, store_unavailable
from onair_operator.decide.conditions import Verdict
from onair_operator.decide.readiness import own_part
from onair_operator.desired.pod import DATA
from onair_operator.desired.secrets import certificate_problem
from onair_operator.desired.store import credentials_problem, is_object_store
from onair_operator.observe.secrets import SecretReader
from onair_operator.observe.world import World

Object = dict[str, Any]


class ClassReconciler:
    """`reconcile` is the work of a queue whose keys are those of classes."""

    def __init__(
        self,
        world: World,
        writer: Writer,
        secrets: SecretReader,
        *,
        installation: str,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._world = world
        self._writer = writer
        self._secrets = secrets
        self._installation = installation
        self._wall = wall

    async def reconcile(self, key: Key) -> float | None:
        """Raises `KubeError`: it is tried again."""
        found = self._world.classes.get(key)
        if found is None:
            return None
        problem = await self._problem(spec_of(found, LiveStreamClassSpec))
        value = {**found, "status": own_part(found.get("status") or {})}
        status = class_status(value, self._world.all_classes(), problem=problem, now=self._wall())
        try:
            await self._writer.write_status(LIVE_STREAM_CLASSES, found, status)
        except NotFound:
            return None
        return None

    async def _problem(self, cls: LiveStreamClassSpec) -> Verdict | None:
        store, tls = cls.store, cls.ingest.tls
        if store is not None and not is_object_store(store.url) and not store.url.startswith(f"file://{DATA}/"):
            return store_unavailable(f"{store.url} is not on the pod's volume; begin it with file://{DATA}/")
        if store is not None and store.secret_ref is not None:
            name = store.secret_ref.name
            problem = credentials_problem(await self._secrets.read(self._installation, name), name)
            if problem is not None:
                return Verdict(False, "StoreCredentialsMissing", f"Nothing new can be recorded: {problem}")
        if tls is None:
            return None
        name = tls.secret_name
        problem = certificate_problem(await self._secrets.read(self._installation, name), name)
        return None if problem is None else Verdict(False, "CertificateMissing", f"No RTMPS for new streams: {problem}")
