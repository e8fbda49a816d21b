"""Requests to the API server: objects in, objects out, each method one verb of RBAC.

Reads are tried again a few times, with growing, random delays; writes are not: whoever wrote knows better whether it is
still right (the work queue brings the key back). Everything has a time limit.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import msgspec

from onair_core.backoff import Backoff
from onair_core.kube.errors import (
    ApiError,
    Gone,
    KubeError,
    NotLeading,
    Silent,
    TooManyRequests,
    Unavailable,
    Unreachable,
    api_error,
)
from onair_core.kube.frames import Lines
from onair_core.kube.login import Source
from onair_core.kube.resources import Resource
from onair_core.kube.transport import Request, Transport

Object = dict[str, Any]

PAGE = 100
_METADATA = "application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1"


class PatchType(StrEnum):
    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind: of all namespaces or one, by labels and fields in kubectl's notation."""

    resource: Resource
    namespace: str | None = None
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False

    @property
    def query(self) -> dict[str, str]:
        chosen = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in chosen.items() if value}


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. All parts show the same moment, which `resource_version` names."""

    items: list[Object]
    resource_version: str
    following: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`kind` is ADDED, MODIFIED, DELETED, or BOOKMARK, whose object has a resourceVersion and nothing else."""

    kind: str
    object: Object


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has ended, for metrics. `code` is 0 when there was no answer. Of a watch: until its headers."""

    verb: str
    resource: Resource
    code: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """In seconds. `silence` is how long a watch may say nothing: the API server sends a bookmark each minute."""

    request: float = 30.0
    silence: float = 90.0
    watch: tuple[float, float] = (300.0, 600.0)
    longest_retry_after: float = 60.0
    tries: int = 4
    backoff: Backoff = field(default_factory=lambda: Backoff(0.25, 5.0))


class Client:
    """Speaks to one API server; an async context manager.

    `may_write_until` is on the loop's clock: past it a write raises `NotLeading` instead of being sent, and none is
    waited for longer. `observe` is told every call.
    """

    def __init__(
        self,
        source: Source,
        *,
        agent: str = "onair",
        patience: Patience | None = None,
        may_write_until: Callable[[], float] = lambda: float("inf"),
        observe: Callable[[Call], None] = lambda call: None,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._transport = Transport(source, agent=agent)
        self._patience = patience or Patience()
        self._may_write_until = may_write_until
        self._observe = observe
        self._chance = chance
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def namespace(self) -> str:
        """The one that the pod is in, or the kubeconfig's context names."""
        return (await self._transport.login()).namespace

    # Reads.

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        """Raises `NotFound`."""
        return await self._read("get", resource, resource.path(namespace, name), {}, "application/json")

    async def pages(self, selection: Selection, *, limit: int = PAGE) -> AsyncGenerator[Page, None]:
        """A list, part by part. Raises `Gone` when it takes so long that its moment is forgotten (five minutes)."""
        accept = _METADATA.format(list="List") if selection.metadata_only else "application/json"
        path, query = selection.resource.path(selection.namespace), selection.query
        if limit:
            query["limit"] = str(limit)
        following = ""
        while True:
            more = query | {"continue": following} if following else query
            listed = await self._read("list", selection.resource, path, more, accept)
            metadata = listed.get("metadata") or {}
            following = metadata.get("continue") or ""
            yield Page(listed.get("items") or [], metadata.get("resourceVersion") or "", following)
            if not following:
                return

    async def list_all(self, selection: Selection, *, limit: int = PAGE) -> Page:
        """All of it, in one page. One that went out of date on the way is begun again, once, in one piece."""
        items: list[Object] = []
        resource_version = ""
        try:
            async for page in self.pages(selection, limit=limit):
                items += page.items
                resource_version = page.resource_version
        except Gone:
            if not items:
                raise
            return await self.list_all(selection, limit=0)
        return Page(items, resource_version)

    async def watch(
        self, selection: Selection, resource_version: str, *, opened: Callable[[], None] = lambda: None
    ) -> AsyncGenerator[WatchEvent, None]:
        """What happens after `resource_version`, until the API server ends the watch (after 5 to 10 minutes).

        `opened` is called when the API server has agreed to it: the first event may be a minute away.

        Raises `Gone` when that is too long ago, `Unreachable` when the connection is cut, `Silent` after too long a
        silence.
        """
        low, high = self._patience.watch
        query = selection.query | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(int(low + (high - low) * self._chance())),
        }
        accept = _METADATA.format(list="") if selection.metadata_only else "application/json"
        lines, silence = Lines(), self._patience.silence
        began, code = self._now(), 0
        path = selection.resource.path(selection.namespace)
        try:
            async with self._transport.answer(Request("GET", path, query, {"Accept": accept}, silence)) as response:
                code = response.status
                self._observe(Call("watch", selection.resource, code, self._now() - began))
                opened()
                while True:
                    try:
                        async with asyncio.timeout(silence):
                            chunk = await response.content.readany()
                    except TimeoutError as error:
                        raise Silent(f"nothing was heard for {silence:.0f} s") from error
                    if not chunk:
                        return
                    for line in lines.feed(chunk):
                        yield _watch_event(line)
        except ValueError as error:
            raise Unreachable(f"a watch that makes no sense: {error}") from error
        except KubeError as error:
            if not code:
                self._observe(Call("watch", selection.resource, _code(error), self._now() - began))
            raise

    # Writes.

    async def create(self, resource: Resource, body: Object, *, manager: str) -> Object:
        """Raises `AlreadyExists`."""
        path = resource.path(_namespace(resource, body))
        return await self._write("create", resource, "POST", path, body, query={"fieldManager": manager})

    async def replace(self, resource: Resource, body: Object, *, manager: str) -> Object:
        """PUT; with `metadata.resourceVersion` in it, raises `Conflict` when the object is another one by now."""
        path = _path(resource, body)
        return await self._write("update", resource, "PUT", path, body, query={"fieldManager": manager})

    async def apply(
        self, resource: Resource, body: Object, *, manager: str, force: bool = True, subresource: str | None = None
    ) -> Object:
        """Server-side apply: `body` is all that `manager` wants, and nothing else.

        Without `force`, raises `Conflict` with the managers that want something else.
        """
        path = _path(resource, body, subresource)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        whole = {"apiVersion": resource.api_version, "kind": resource.kind} | body
        return await self._write("patch", resource, "PATCH", path, whole, query=query, content=PatchType.APPLY)

    async def apply_status(self, resource: Resource, body: Object, *, manager: str) -> Object:
        """Applies `body["status"]`; a `metadata.resourceVersion` in it is a precondition."""
        return await self.apply(resource, body, manager=manager, subresource="status")

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        body: Object | list[Object],
        *,
        manager: str,
        content: PatchType = PatchType.MERGE,
        subresource: str | None = None,
    ) -> Object:
        """A merge patch (an object) or a JSON patch (a list). Raises `NotFound`, `Conflict`."""
        path = resource.path(namespace, name, subresource)
        query = {"fieldManager": manager}
        return await self._write("patch", resource, "PATCH", path, body, query=query, content=content)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
    ) -> None:
        """Only the very object with that UID, and as it was at that resourceVersion, if they are given.

        Raises `NotFound` and, when it is another one by now, `Conflict`.
        """
        wanted = {"uid": uid, "resourceVersion": resource_version}
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if preconditions := {name: value for name, value in wanted.items() if value is not None}:
            options["preconditions"] = preconditions
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        await self._write("delete", resource, "DELETE", resource.path(namespace, name), options, query={})

    # What they have in common.

    async def _read(self, verb: str, resource: Resource, path: str, query: Mapping[str, str], accept: str) -> Object:
        request, failures = Request("GET", path, query, {"Accept": accept}, self._patience.request), 0
        while True:
            try:
                return await self._request(verb, resource, request)
            except (Unreachable, Unavailable, TooManyRequests) as error:
                failures += 1
                if failures >= self._patience.tries:
                    raise
                delay = self._patience.backoff.delay(failures, self._chance())
                asked = error.retry_after if isinstance(error, ApiError) and error.retry_after else 0.0
                await self._sleep(delay + min(asked, self._patience.longest_retry_after))

    async def _write(
        self,
        verb: str,
        resource: Resource,
        method: str,
        path: str,
        body: object,
        *,
        query: Mapping[str, str],
        content: str = "application/json",
    ) -> Object:
        left = self._may_write_until() - self._now()
        if left <= 0:
            raise NotLeading(f"{verb} {path}: this process does not lead")
        headers = {"Accept": "application/json", "Content-Type": content}
        seconds = min(left, self._patience.request)
        request = Request(method, path, query, headers, seconds, msgspec.json.encode(body))
        return await self._request(verb, resource, request)

    async def _request(self, verb: str, resource: Resource, request: Request) -> Object:
        began, code = self._now(), 0
        try:
            async with self._transport.answer(request) as response:
                async with asyncio.timeout(request.seconds):
                    text = await response.read()
                code = response.status
            return _decoded(text)
        except KubeError as error:
            code = _code(error)
            raise
        finally:
            self._observe(Call(verb, resource, code, self._now() - began))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _decoded(text: bytes) -> Object:
    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreachable(f"an answer that is no JSON: {text[:100]!r}") from error
    if not isinstance(decoded, dict):
        raise Unreachable(f"an answer that is no object: {text[:100]!r}")
    return decoded


def _watch_event(line: bytes) -> WatchEvent:
    decoded = _decoded(line)
    kind, what = decoded.get("type"), decoded.get("object")
    if not isinstance(kind, str) or not isinstance(what, dict):
        raise Unreachable(f"a watch event without type and object: {line[:100]!r}")
    if kind == "ERROR":
        raise api_error(int(what.get("code") or 500), what)
    return WatchEvent(kind, what)


def _code(error: KubeError) -> int:
    return error.code if isinstance(error, ApiError) else 0


def _namespace(resource: Resource, body: Object) -> str | None:
    return body["metadata"].get("namespace") if resource.namespaced else None


def _path(resource: Resource, body: Object, subresource: str | None = None) -> str:
    return resource.path(_namespace(resource, body), body["metadata"]["name"], subresource)
