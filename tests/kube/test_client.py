"""Requests: what is sent, what is tried again, what each refusal becomes."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from api_server import CUT, GONE, OVER, SILENT, ApiServer, bookmark, event, page, pod, refusal, stream

from onair_core.kube.client import Call, Client, PatchType, Patience, Selection, WatchEvent
from onair_core.kube.errors import Gone, KubeError, NotFound, NotLeading, TooManyRequests, Unauthorized, Unreachable
from onair_core.kube.resources import PODS

ALL = Selection(PODS, "events", labels="a=b", fields="spec.nodeName=n")


async def watched(client: Client) -> list[WatchEvent]:
    return [found async for found in client.watch(Selection(PODS), "5")]


async def stream_nothing(request: web.Request) -> web.StreamResponse:
    await request.app[OVER].wait()
    return web.Response()


async def answer_pod(request: web.Request) -> web.StreamResponse:
    return web.json_response(pod("a", 9))


async def test_a_list_comes_in_pages(client: Client, server: ApiServer) -> None:
    server.lists += [page(7, pod("a", 3), following="more"), page(7, pod("b", 4))]
    found = await client.list_all(ALL)
    assert [item["metadata"]["name"] for item in found.items] == ["a", "b"] and found.resource_version == "7"
    assert server.asked("limit") == ["100", "100"] and server.asked("continue") == ["more"]
    assert server.asked("labelSelector") == ["a=b"] * 2 and server.asked("fieldSelector") == ["spec.nodeName=n"] * 2


async def test_a_list_that_went_out_of_date_is_begun_again_in_one_piece(client: Client, server: ApiServer) -> None:
    server.lists += [page(7, pod("a", 3), following="more"), refusal(410, "Expired"), page(9, pod("a", 8))]
    found = await client.list_all(ALL)
    assert [item["metadata"]["resourceVersion"] for item in found.items] == ["8"]
    assert server.asked("limit") == ["100", "100"]


async def test_metadata_only(client: Client, server: ApiServer) -> None:
    server.watches.append(stream())
    selection = Selection(PODS, metadata_only=True)
    await client.list_all(selection)
    assert [found async for found in client.watch(selection, "1")] == []
    kinds = [request.headers["Accept"].split(";")[1] for request in server.requests]
    assert kinds == ["as=PartialObjectMetadataList", "as=PartialObjectMetadata"]


async def test_reads_are_tried_again_and_retry_after_is_heeded(
    client: Client, server: ApiServer, slept: list[float], calls: list[Call]
) -> None:
    server.others += [refusal(503), refusal(429, retry_after="7"), answer_pod]
    assert (await client.get(PODS, "a", "events"))["metadata"]["name"] == "a"
    assert slept == [1.0, 2.0 + 7.0]
    assert [(call.verb, call.code) for call in calls] == [("get", 503), ("get", 429), ("get", 200)]


async def test_not_for_ever_and_not_when_the_answer_is_final(
    client: Client, server: ApiServer, slept: list[float]
) -> None:
    server.others += [refusal(429)] * 3
    with pytest.raises(TooManyRequests):
        await client.get(PODS, "a", "events")
    assert len(slept) == 2
    with pytest.raises(NotFound):
        await client.get(PODS, "a", "events")
    assert len(slept) == 2


async def test_writes_are_not_tried_again(client: Client, server: ApiServer, slept: list[float]) -> None:
    server.others += [refusal(429, retry_after="3")]
    with pytest.raises(TooManyRequests) as caught:
        await client.apply(PODS, pod("a", 1), manager="onair")
    assert caught.value.retry_after == 3.0 and len(server.requests) == 1 and not slept


async def test_a_refused_token_is_renewed_once_for_all_who_met_it(client: Client, server: ApiServer) -> None:
    await client.list_all(ALL)
    server.token = "rotated"
    await asyncio.gather(*(client.list_all(ALL) for _ in range(5)))
    assert server.logins == 2


async def test_a_token_that_stays_refused_is_an_error(client: Client, server: ApiServer) -> None:
    server.others += [refusal(401, "Unauthorized")] * 2
    with pytest.raises(Unauthorized):
        await client.get(PODS, "a", "events")


async def test_what_is_written(client: Client, server: ApiServer) -> None:
    server.others += [answer_pod] * 6
    body = {"metadata": {"namespace": "events", "name": "a"}}
    await client.apply(PODS, body, manager="onair", force=False)
    await client.apply_status(PODS, body, manager="onair-status")
    await client.create(PODS, body, manager="onair")
    await client.replace(PODS, body, manager="onair")
    await client.patch(PODS, "a", "events", [{"op": "remove", "path": "/x"}], manager="onair", content=PatchType.JSON)
    await client.delete(PODS, "a", "events", uid="u", resource_version="4", grace_seconds=0)
    path = "/api/v1/namespaces/events/pods"
    sent = [(request.method, request.path_qs, request.content_type) for request in server.requests]
    assert sent == [
        ("PATCH", f"{path}/a?fieldManager=onair&force=false", PatchType.APPLY),
        ("PATCH", f"{path}/a/status?fieldManager=onair-status&force=true", PatchType.APPLY),
        ("POST", f"{path}?fieldManager=onair", "application/json"),
        ("PUT", f"{path}/a?fieldManager=onair", "application/json"),
        ("PATCH", f"{path}/a?fieldManager=onair", PatchType.JSON),
        ("DELETE", f"{path}/a", "application/json"),
    ]
    assert server.bodies[0] == body | {"apiVersion": "v1", "kind": "Pod"}
    assert server.bodies[-1]["preconditions"] == {"uid": "u", "resourceVersion": "4"}
    assert server.bodies[-1]["propagationPolicy"] == "Background" and server.bodies[-1]["gracePeriodSeconds"] == 0


async def test_who_does_not_lead_sends_nothing(server: ApiServer) -> None:
    async with Client(server, may_write_until=lambda: 0.0) as client:
        with pytest.raises(NotLeading):
            await client.delete(PODS, "a", "events")
        await client.list_all(ALL)
    assert [request.method for request in server.requests] == ["GET"]


async def test_a_watch_brings_events_and_bookmarks_until_its_end(
    client: Client, server: ApiServer, calls: list[Call]
) -> None:
    server.watches.append(stream(event("ADDED", pod("a", 6, spec={"text": "x" * 300_000})), bookmark(9)))
    found = await watched(client)
    assert [(what.kind, what.object["metadata"]["resourceVersion"]) for what in found] == [
        ("ADDED", "6"),
        ("BOOKMARK", "9"),
    ]
    assert server.asked("resourceVersion") == ["5"] and server.asked("allowWatchBookmarks") == ["true"]
    assert [(call.verb, call.code) for call in calls] == [("watch", 200)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (stream(GONE), Gone),
        (refusal(410, "Expired"), Gone),
        (stream(bookmark(6), CUT), Unreachable),
        (stream(bookmark(6), SILENT), Unreachable),
        (stream({"type": "ADDED"}), Unreachable),
        (refusal(403), KubeError),
    ],
)
async def test_a_watch_that_ends_badly(
    client: Client, server: ApiServer, answer: object, error: type[KubeError]
) -> None:
    server.watches.append(answer)  # type: ignore[arg-type]
    with pytest.raises(error):
        await watched(client)


async def test_no_server_and_no_answer_are_unreachable(server: ApiServer) -> None:
    async def at_once(seconds: float) -> None:
        return

    server.others += [stream_nothing] * 2
    async with Client(server, patience=Patience(request=0.2, tries=2), sleep=at_once) as client:
        with pytest.raises(Unreachable, match="in time"):
            await client.get(PODS, "a", "events")
        server.url = "http://127.0.0.1:9"
        server.token = "x"
    async with Client(server, patience=Patience(tries=2), sleep=at_once) as client:
        with pytest.raises(Unreachable):
            await client.get(PODS, "a", "events")
