"""The installation's root secret: made once, never replaced while there are channels.

All stream keys and playback IDs come from it. Without it OnAir touches no channel; it says so in each one's status, and
waits for whoever restores it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import structlog

from onair_core.identity import ROOT_SECRET_BYTES
from onair_core.kube.client import Client, Selection
from onair_core.kube.errors import (
    AlreadyExists,
    Conflict,
    KubeError,
    NotFound,
    TooManyRequests,
    Unavailable,
    Unreachable,
)
from onair_core.kube.resources import LIVE_STREAMS, SECRETS
from onair_operator.apply.writer import MANAGER, STATUS_MANAGER
from onair_operator.decide.conditions import Verdict
from onair_operator.decide.readiness import own_part, verdicts, with_verdicts
from onair_operator.observe.world import Scope

log = structlog.get_logger(__name__)

Object = dict[str, Any]

KEY = "root"
"""Where it stands in its Secret."""
AGAIN_SECONDS = 10.0


async def root_secret(client: Client, scope: Scope, name: str) -> bytes:
    """The root secret, as soon as there is one. Raises `KubeError`, but not for one that is missing or unusable, nor
    while the API server is in trouble.
    """
    while True:
        try:
            found = await _look(client, scope, name)
            if isinstance(found, bytes):
                return found
            log.error("no channel can be worked on", reason=found.reason, problem=found.message)
            await _tell_everybody(client, scope, found)
        except (Unreachable, Unavailable, TooManyRequests) as error:
            log.warning("the root secret cannot be had", error=str(error))
        await asyncio.sleep(AGAIN_SECONDS)


async def _look(client: Client, scope: Scope, name: str) -> bytes | Verdict:
    """What it is, or why there is none; one is made where nothing can have come from another."""
    try:
        found = await client.get(SECRETS, name, scope.installation)
    except NotFound:
        if not await _channels_exist(client, scope):
            await _create(client, scope.installation, name)
            return await _look(client, scope, name)
        return Verdict(
            False,
            "RootSecretMissing",
            f"Secret {name} in namespace {scope.installation} is missing: with another one all stream keys and "
            "playback IDs would change. Restore it from a backup.",
        )
    if (root := _content(found)) is not None:
        return root
    return Verdict(
        False,
        "RootSecretUnusable",
        f"Secret {name} in namespace {scope.installation} has to have at least {ROOT_SECRET_BYTES} bytes as "
        f"{KEY}. Restore it from a backup.",
    )


def _content(secret: Object) -> bytes | None:
    try:
        root = base64.b64decode((secret.get("data") or {}).get(KEY, ""), validate=True)
    except binascii.Error:
        return None
    return root if len(root) >= ROOT_SECRET_BYTES else None


async def _create(client: Client, namespace: str, name: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "onair", "app.kubernetes.io/part-of": "onair"},
        },
        "type": "Opaque",
        "immutable": True,
        "data": {KEY: base64.b64encode(secrets.token_bytes(ROOT_SECRET_BYTES)).decode()},
    }
    try:
        await client.create(SECRETS, body, manager=MANAGER)
    except AlreadyExists:
        return
    log.info("made the root secret: back it up", secret=name, namespace=namespace)


async def _channels_exist(client: Client, scope: Scope) -> bool:
    """Whether anything was ever derived from a root secret here."""
    async for stream in _streams(client, scope):
        status = stream.get("status") or {}
        if status.get("playback") or (status.get("ingest") or {}).get("streamKeyFingerprint"):
            return True
    return False


async def _tell_everybody(client: Client, scope: Scope, problem: Verdict) -> None:
    async for stream in _streams(client, scope):
        status, generation = own_part(stream.get("status") or {}), stream["metadata"]["generation"]
        conditions = with_verdicts(
            status.get("conditions", []), verdicts(problem), generation=generation, now=time.time()
        )
        if conditions == status.get("conditions"):
            continue
        metadata = {field: stream["metadata"][field] for field in ("name", "namespace", "resourceVersion")}
        body = {"metadata": metadata, "status": status | {"conditions": conditions}}
        try:
            await client.apply_status(LIVE_STREAMS, body, manager=STATUS_MANAGER)
        except (NotFound, Conflict):
            continue  # the next round has it as it is then
        except KubeError as error:
            log.warning("a channel could not be told", stream=stream["metadata"]["name"], error=str(error))


async def _streams(client: Client, scope: Scope) -> AsyncIterator[Object]:
    namespaces: Iterable[str | None] = scope.namespaces or (None,)
    for namespace in namespaces:
        async for page in client.pages(Selection(LIVE_STREAMS, namespace)):
            for stream in page.items:
                yield stream
