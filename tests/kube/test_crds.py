"""What an API server makes of the CRD files: it takes them, explains them, lists them, and keeps status apart from spec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from crd_judges import API_VERSION, Object, manifest, path_of
from crd_schema import KINDS, Schema, nodes, text

from kubelab.api import Refused
from kubelab.kubectl import Kubectl
from kubelab.nodeless import ControlPlane
from kubelab.waiting import until
from onair_core.contract import BroadcastRef, EventType, JournalEvent
from onair_core.kube.client import Client
from onair_core.kube.errors import Invalid
from onair_core.kube.resources import ASSETS, LIVE_STREAMS
from onair_core.manifests import crds as known
from onair_core.manifests.crd import crd_folder
from onair_operator.decide.conditions import Verdict, with_condition
from onair_operator.decide.status import asset_status_after, new_asset_status, stream_status_after

pytestmark = pytest.mark.usefixtures("crds")
FILES = sorted(crd_folder().glob("*.yaml"))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
STRICT = "?dryRun=All&fieldValidation=Strict"


# The files


def dry_apply(control_plane: ControlPlane, definition: Object) -> Object:
    path = f"{DEFINITIONS}/{definition['metadata']['name']}{STRICT}&fieldManager=test&force=true"
    made: Object = json.loads(control_plane.api.ask("PATCH", path, definition, content="application/apply-patch+yaml"))
    return made


def test_every_file_is_taken_strictly_and_established(control_plane: ControlPlane) -> None:
    assert len(FILES) >= 4
    for file in FILES:
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))
        dry_apply(control_plane, definition)
        until(f"{file.name} is established", lambda name=file.stem: established(control_plane, name))  # type: ignore[misc]


def established(control_plane: ControlPlane, name: str) -> bool:
    """And without the complaint that its schema says less than it seems to."""
    status = control_plane.api.get(f"{DEFINITIONS}/{name}")["status"]
    return {c["type"]: c["status"] for c in status["conditions"]} == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("metadata: {type: object}", "metadata: {type: object, description: x}", "metadata"),
        ("description: What the channel shall be.", "descripton: What the channel shall be.", "descripton"),
        ("self.latencyMode == 'standard'", "self.latency == 'standard'", "undefined field"),
        ("self.latencyMode == 'standard'", "self.title.matches('x*') && self.playback.all(a, self.playback.all(b, "
         "self.playback.all(c, self.playback.all(d, a.name + b.name + c.name + d.name != ''))))", "exceeds budget"),
    ],
)  # fmt: skip
def test_what_it_would_refuse_is_told(control_plane: ControlPlane, old: str, new: str, told: str) -> None:
    (stream,) = (file for file in FILES if file.name.startswith("livestreams"))
    content = stream.read_text(encoding="utf-8")
    assert old in content
    with pytest.raises(Refused) as refused:
        dry_apply(control_plane, yaml.safe_load(content.replace(old, new)))
    assert told in refused.value.text


# What people see


def test_short_names_and_categories(control_plane: ControlPlane, kubectl: Kubectl) -> None:
    found = {part["name"]: part for part in control_plane.api.get(f"/apis/{API_VERSION}")["resources"]}
    for kind, crd in known().items():
        served = found[crd.plural]
        assert served["kind"] == kind and tuple(served.get("shortNames", ())) == crd.short_names
        assert served["categories"] == ["onair"] and served["namespaced"] == crd.namespaced
        assert f"{crd.plural}/status" in found
    made = manifest("LiveStream", {}, namespace=kubectl.namespace)
    control_plane.api.create(path_of(made), made)
    assert kubectl.run("get", "ls", "-o", "name") == "livestream.onair.dev/s\n"
    assert "livestream.onair.dev/s" in kubectl.run("get", "onair", "-o", "name")


FINISHED: dict[str, tuple[Object, Object, dict[str, Any]]] = {
    # spec, status, cells by column
    "LiveStream": (
        {},
        {
            "phase": "Active",
            "connected": True,
            "playback": [{"name": "main", "id": "keynote-2026"}],
            "activeAsset": "keynote-7f3k2",
            "className": "standard",
            "ingest": {"rtmp": "rtmp://a.example:5222/app"},
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "AcceptingPublisher"},
                {"type": "UpdatePending", "status": "True", "reason": "BroadcastRunning"},
            ],
        },
        {"Phase": "Active", "Connected": True, "Ready": "True", "Playback": "keynote-2026", "Asset": "keynote-7f3k2",
         "Class": "standard", "Ingest": "rtmp://a.example:5222/app", "Reason": "AcceptingPublisher",
         "Pending": "BroadcastRunning"},
    ),
    "LiveStreamClass": (
        {"store": {"url": "file:///srv"}},
        {"conditions": [{"type": "Default", "status": "False"}, {"type": "Ready", "status": "True"}]},
        {"Store": "file:///srv", "Ready": "True", "Default": "False"},
    ),
    "Asset": (
        {"liveStream": {"name": "keynote"}},
        {"state": "Ready", "isLive": False, "duration": 12.5, "playback": [{"id": "asset-2026"}]},
        {"State": "Ready", "Live": False, "Duration": 12.5, "Stream": "keynote", "Playback": "asset-2026"},
    ),
    "WebhookEndpoint": (
        {"url": "https://a.example", "secretRef": {"name": "s"}},
        {"pending": 3, "conditions": [{"type": "Ready", "status": "False"}], "lastSuccess": {"at": "2026-01-01T00:00:00Z"}},
        {"URL": "https://a.example", "Ready": "False", "Pending": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_has_the_wanted_columns(kind: str, control_plane: ControlPlane, namespace: str) -> None:
    spec, status, cells = FINISHED[kind]
    made = manifest(kind, spec, name=namespace[:50].rstrip("-"), namespace=namespace)
    path = f"{path_of(made)}/{made['metadata']['name']}"
    stored = control_plane.api.create(path_of(made), made)
    control_plane.api.ask("PUT", f"{path}/status", {**stored, "status": status})
    table = control_plane.api.get(path, accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    columns = [column["name"] for column in table["columnDefinitions"]]
    assert columns == ["Name", *(column["name"] for column in known()[kind].columns)]
    shown = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert shown.items() >= cells.items()
    unchecked = set(columns) - {"Name", *cells}
    assert unchecked <= {"Age", "Last success"} and all(
        shown[name] not in ("", "<unknown>", None) for name in unchecked
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_explained(kind: str, control_plane: ControlPlane, kubectl: Kubectl) -> None:
    named = f"dev.onair.v1alpha1.{kind}"
    served = until("it is published", lambda: control_plane.api.get(f"/openapi/v3/apis/{API_VERSION}")["components"])
    schema = served["schemas"][named]
    for part in ("spec", "status"):
        wanted = {
            text(path): below["description"] for path, below in explained(known()[kind].schema["properties"][part])
        }
        assert {text(path): below.get("description") for path, below in explained(schema["properties"][part])} == wanted
        said = kubectl.run("explain", f"{kind.lower()}.{part}", "--api-version", API_VERSION)
        assert "<no description>" not in said and all(
            f"  {name}\t" in said for name in schema["properties"][part]["properties"]
        )


def explained(schema: Schema) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """All but the values of maps, of which kubectl explain does not speak."""
    return ((path, below) for path, below in nodes(schema) if "{}" not in path)


# Spec and status


async def test_status_and_spec_are_written_apart(api: Client, namespace: str) -> None:
    begun = manifest("LiveStream", {"title": "a"}, namespace=namespace, status={"phase": "Idle"})
    made = await api.create(LIVE_STREAMS, begun, manager="test")
    assert "status" not in made and made["metadata"]["generation"] == 1
    both = {**made, "spec": {**made["spec"], "title": "b"}, "status": {"phase": "Active"}}
    told = await api.replace(LIVE_STREAMS, both, manager="test")
    assert told["spec"]["title"] == "b" and "status" not in told and told["metadata"]["generation"] == 2

    metadata = {"name": "s", "namespace": namespace}
    body = {"metadata": {**metadata, "labels": {"a": "b"}}, "spec": {"title": "c"}, "status": {"phase": "Disabled"}}
    told = await api.apply_status(LIVE_STREAMS, body, manager="onair-operator-status")
    assert told["spec"]["title"] == "b" and told["status"] == {"phase": "Disabled"}
    assert told["metadata"]["generation"] == 2 and "labels" not in told["metadata"]

    change: Object = {"spec": {"title": "d"}, "status": {"phase": "Idle"}}
    told = await api.patch(LIVE_STREAMS, "s", namespace, change, manager="test")
    assert told["status"] == {"phase": "Disabled"} and told["metadata"]["generation"] == 3


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"phase": "idle"}, "status.phase"),
        ({"broadcast": {"startedAt": "yesterday"}}, "status.broadcast.startedAt"),
        ({"conditions": [{"type": "Ready"}]}, "status.conditions[0].status"),
        ({"conditions": [{"type": "Ready", "status": "yes"}]}, "status.conditions[0].status"),
        ({"conditions": [{"type": "Ready", "status": "True"}] * 2}, "status.conditions[1]"),
        ({"observedGeneration": "1"}, "status.observedGeneration"),
    ],
)
async def test_a_status_that_is_none_is_refused(api: Client, namespace: str, status: Object, field: str) -> None:
    made = await api.create(LIVE_STREAMS, manifest("LiveStream", {}, namespace=namespace), manager="test")
    with pytest.raises(Invalid) as refused:
        await api.patch(LIVE_STREAMS, "s", namespace, {"status": status}, manager="test", subresource="status")
    assert field in [cause["field"] for cause in refused.value.details["causes"]]
    assert (await api.get(LIVE_STREAMS, "s", namespace)) == made


async def test_what_events_make_of_status_is_taken_whole(api: Client, namespace: str) -> None:
    """Nothing of it is unknown to the CRDs: that would be dropped without a word."""
    stream, asset = folded()
    for resource, kind, status in ((LIVE_STREAMS, "LiveStream", stream), (ASSETS, "Asset", asset)):
        await api.create(resource, manifest(kind, {}, namespace=namespace), manager="test")
        body = {"metadata": {"name": "s", "namespace": namespace}, "status": status}
        told = await api.apply_status(resource, body, manager="onair-operator-status")
        assert told["status"] == status


def folded() -> tuple[Object, Object]:
    """The status of a stream and of its Asset after a broadcast with everything that can be said of one."""
    broadcast = BroadcastRef("b-1", 2)
    track = {"type": "video", "codec": "avc1.640028", "max_width": 1920, "max_height": 1080, "max_frame_rate": 29.97}
    sound = {"type": "audio", "codec": "mp4a.40.2", "max_channels": 2, "sample_rate": 48_000}
    told = [
        (EventType.STREAM_CONNECTED, {"recorded": True}),
        (EventType.STREAM_RECORDING, {}),
        (EventType.STREAM_ACTIVE, {}),
        (EventType.STREAM_WARNING, {"reason": "GopTooLong", "message": "keyframes are 20 s apart"}),
        (EventType.ASSET_READY, {"duration": 2.0, "tracks": [track, sound]}),
        (EventType.STREAM_DISCONNECTED, {"reason": "x"}),
        (EventType.ASSET_COMPLETED, {"duration": 4.0, "recording_times": [{"started_at": 1.0, "duration": 4.0}]}),
        (EventType.ASSET_ERRORED, {"message": "nothing was recorded"}),
    ]
    events = [
        JournalEvent(epoch=2, n=n, type=kind, at=1_700_000_000.5 + n, broadcast=broadcast, data=data)
        for n, (kind, data) in enumerate(told)
    ]
    ready = Verdict(True, "Provisioned", "It accepts its publisher.")
    stream: Object = {"observedGeneration": 1, "conditions": with_condition([], "Ready", ready, generation=1, now=1.0)}
    asset = new_asset_status(
        events[0], [{"name": "main", "id": "asset-2026", "policy": "public", "url": "https://a/b"}]
    )
    for event in events:
        stream = stream_status_after(stream, event, window=60.0, disabled=False)
        asset = asset_status_after(asset, event)
    return stream, asset
