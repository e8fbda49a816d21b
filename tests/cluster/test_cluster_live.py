"""From `helm install` to a viewer and back: the chart's operator, real encoders and players, real pods."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from encoders import FFmpeg, ProcessEncoder
from viewers import chromium, decode, get, watch_url

from installation import Installation, Stream, example
from kubelab.kubectl import Kubectl, Object
from kubelab.provider import Cluster
from kubelab.waiting import until
from onair_media.ingest.tls import self_signed

GOING_LIVE = [
    *("live_stream.connected", "asset.created", "live_stream.recording", "live_stream.active", "asset.ready"),
]


@pytest.fixture
async def ffmpeg(tmp_path: Path) -> AsyncIterator[FFmpeg]:
    yield FFmpeg(tmp_path / "ffmpeg.log")
    await ProcessEncoder.kill_all()


@pytest.fixture
def stream(kubectl: Kubectl, onair: Installation, reaching: None) -> Stream:
    return Stream(kubectl)


async def test_from_a_manifest_to_a_viewer_and_back(stream: Stream, kubectl: Kubectl, ffmpeg: FFmpeg) -> None:
    kubectl.apply(*example("livestream.yaml"))
    stream.ready()
    assert (await get(stream.playlist()))[0] == 412, "nobody is live"

    await ffmpeg.start(stream.url())
    live = stream.becomes("is live", phase="Active", connected=True)
    asset = live["activeAsset"]
    until("all of going live is told", lambda: stream.events()[-5:] == GOING_LIVE)
    decoded = await decode(stream.playlist(), first_seconds=3)
    assert decoded.video > 30 and decoded.audio > 30 and not decoded.complaints

    async with chromium(stream.address()) as viewer:
        await viewer.open(watch_url(stream.playlist()))
        await viewer.sees("playing")
        await viewer.moves_on()
        # The encoder is killed and comes back inside its window: the same broadcast, and the viewer goes on.
        await ffmpeg.kill()
        away = stream.becomes("misses its encoder", connected=False)
        assert away["phase"] == "Active" and away["broadcast"]["deadline"] > away["broadcast"]["disconnectedAt"]
        await ffmpeg.start(stream.url())
        back = stream.becomes("has its encoder back", connected=True)
        assert back["activeAsset"] == asset and back["recentAssets"] == [asset]
        await viewer.moves_on(2.0)
    assert "#EXT-X-DISCONTINUITY" in (await get(stream.playlist().replace(".m3u8", "/video.m3u8")))[1]

    kubectl.run("annotate", "livestream/keynote", f"onair.dev/complete={asset}")
    await ffmpeg.stop()
    over = stream.becomes("is over", phase="Idle", connected=False)
    assert "broadcast" not in over and "activeAsset" not in over
    until("the recording is final", lambda: not stream.assets()[asset]["isLive"])
    recording = stream.assets()[asset]
    assert recording["state"] == "Ready" and len(recording["recordingTimes"]) == 2
    kubectl.wait(f"asset/{asset}", "Ready")


async def test_rtmps_and_a_certificate_that_is_renewed(
    stream: Stream, kubectl: Kubectl, onair: Installation, ffmpeg: FFmpeg, tmp_path: Path
) -> None:
    stream.declare(className="secure")
    until("it says that the class is missing", lambda: stream.condition("Stalled") == ("True", "ClassNotFound"))
    declare_class(onair, "secure", {"ingest": {"tls": {"secretName": "ingest-tls"}}})
    until("it waits for the certificate", lambda: stream.condition("Ready") == ("False", "CertificateMissing"))
    certificate(onair.kubectl, tmp_path / "first")
    stream.ready()
    assert stream.status["ingest"]["rtmps"].startswith("rtmps://")

    await ffmpeg.start(stream.url("rtmps"))
    stream.becomes("is live", phase="Active")
    certificate(onair.kubectl, tmp_path / "second")
    copied = base64.b64encode((tmp_path / "second" / "rtmps.crt").read_bytes()).decode()
    until("the copy follows", lambda: kubectl.get("secret", "keynote-rtmps")["data"]["tls.crt"] == copied)
    assert stream.status["connected"] and stream.condition("UpdatePending")[0] == "False", "nobody was disturbed"
    onair.kubectl.delete("livestreamclass/secure", "secret/ingest-tls")


def declare_class(onair: Installation, name: str, spec: Object) -> None:
    metadata = {"name": name}
    onair.kubectl.apply(
        {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStreamClass", "metadata": metadata, "spec": spec}
    )


def certificate(kubectl: Kubectl, folder: Path) -> None:
    """A new one, as cert-manager keeps it."""
    folder.mkdir()
    self_signed(folder)
    files = {"tls.crt": folder / "rtmps.crt", "tls.key": folder / "rtmps.key"}
    data = {name: base64.b64encode(file.read_bytes()).decode() for name, file in files.items()}
    metadata = {"name": "ingest-tls"}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}
    )


async def test_an_upgrade_leaves_a_broadcast_alone_and_replaces_its_pod_afterwards(
    stream: Stream, kubectl: Kubectl, onair: Installation, ffmpeg: FFmpeg, next_image: str
) -> None:
    stream.declare(reconnectWindowSeconds=0)
    stream.ready()
    await ffmpeg.start(stream.url())
    asset = stream.becomes("is live", phase="Active")["activeAsset"]
    (pod,) = stream.pods()
    try:
        onair.upgrade(image=next_image)
        until("the change waits", lambda: stream.condition("UpdatePending") == ("True", "BroadcastRunning"), 90)
        assert stream.condition("Ready")[0] == "True" and stream.condition("Reconciling")[0] == "False"
        assert stream.status["connected"] and stream.status["activeAsset"] == asset and stream.pods() == [pod]
        assert kubectl.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"] == 0

        await ffmpeg.stop()
        until("another pod takes its place", lambda: len(stream.pods()) == 1 and stream.pods() != [pod])
        stream.ready()
        (successor,) = stream.pods()
        assert kubectl.get("pod", successor)["spec"]["containers"][0]["image"] == next_image
        assert stream.condition("UpdatePending")[0] == "False" and stream.events()[-1] == "asset.live_stream_completed"
        await ffmpeg.start(stream.url())
        assert stream.becomes("is live again", phase="Active")["activeAsset"] != asset
    finally:
        await ffmpeg.stop()
        onair.upgrade()


async def test_a_pod_that_is_killed_ends_its_broadcast_in_order_and_the_encoder_finds_the_next(
    stream: Stream, kubectl: Kubectl, ffmpeg: FFmpeg
) -> None:
    stream.declare()
    stream.ready()
    await ffmpeg.start(stream.url())
    first = stream.becomes("is live", phase="Active")["activeAsset"]
    until("all of going live is told", lambda: stream.events()[-5:] == GOING_LIVE)
    (pod,) = stream.pods()
    kubectl.run("delete", "pod", pod, "--grace-period=0", "--force")
    until("another takes its place", lambda: (found := stream.pods()) and found != [pod])
    stream.ready()
    await ffmpeg.kill()
    await ffmpeg.start(stream.url())
    until("another broadcast is live", lambda: stream.status.get("activeAsset") not in (None, first))
    stream.becomes("is live", phase="Active")
    told = stream.events()
    end = told.index("live_stream.idle")
    assert told[:5] == GOING_LIVE and told[end + 1] == "asset.live_stream_completed"
    assert told[5:end] == ["live_stream.disconnected"] and told[end + 2 : end + 4] == GOING_LIVE[:2]
    lost = until("its recording is told lost", lambda: stream.assets()[first].get("error"))
    assert "gone with it" in lost and not stream.assets()[first]["isLive"]


async def test_a_claim_keeps_the_broadcast_when_its_pod_is_killed(
    stream: Stream, kubectl: Kubectl, onair: Installation, ffmpeg: FFmpeg, volumes: None
) -> None:
    claim = {"size": "1Gi", "storageClassName": "by-hand"}
    declare_class(onair, "kept", {"ingest": {"volume": {"persistentVolumeClaim": claim}}})
    stream.declare(className="kept")
    stream.ready()
    await ffmpeg.start(stream.url())
    first = stream.becomes("is live", phase="Active")["activeAsset"]
    (pod,) = stream.pods()
    kubectl.run("delete", "pod", pod)
    until("another takes its place", lambda: (found := stream.pods()) and found != [pod])
    stream.ready()
    await ffmpeg.kill()
    await ffmpeg.start(stream.url())
    back = stream.becomes("has its encoder back", connected=True)
    assert back["activeAsset"] == first and back["recentAssets"] == [first]
    assert "live_stream.idle" not in stream.events()


@pytest.mark.slow
async def test_a_node_that_is_lost_takes_no_channel_with_it(
    stream: Stream, kubectl: Kubectl, onair: Installation, cluster: Cluster, second_node: str, ffmpeg: FFmpeg
) -> None:
    spec = {"ingest": {"pod": {"nodeSelector": {"kubernetes.io/os": "linux"}}}}
    far = {"ingest": {"pod": {"nodeSelector": {"kubernetes.io/hostname": second_node}}}}
    declare_class(onair, "far", far)
    stream.declare(className="far")
    stream.ready()
    await ffmpeg.start(stream.url())
    first = stream.becomes("is live", phase="Active")["activeAsset"]
    (pod,) = stream.pods()
    declare_class(onair, "far", spec)  # as it is live, it stays where it is
    until("the change waits", lambda: stream.condition("UpdatePending") == ("True", "BroadcastRunning"))
    with cluster.partition(second_node):
        until("another pod takes its place", lambda: (found := stream.pods()) and found != [pod], 120)
        (successor,) = stream.pods()
        kubectl.wait(f"pod/{successor}", "Ready")
        await ffmpeg.kill()
        await ffmpeg.start(stream.url())
        until("another broadcast is live", lambda: stream.status.get("activeAsset") not in (None, first))
        stream.becomes("is live", phase="Active")
        told = stream.events()
        assert told.index("live_stream.idle") < len(told) - 1 - told[::-1].index("live_stream.connected")
    kubectl.wait(f"node/{second_node}", "Ready", 90)
    kubectl.wait(f"pod/{pod}", "delete", 90)
    assert stream.pods() == [successor] and stream.status["connected"], "the one that comes back disturbs nobody"


async def test_what_is_deleted_leaves_nothing_behind(stream: Stream, kubectl: Kubectl, ffmpeg: FFmpeg) -> None:
    stream.declare()
    stream.ready()
    await ffmpeg.start(stream.url())
    asset = stream.becomes("is live", phase="Active")["activeAsset"]
    stream.delete()
    assert await asyncio.wait_for(ffmpeg.ended(), 30) != 0, "its encoder is cut off"
    await nothing_is_left(kubectl)
    assert stream.assets()[asset]["isLive"] is False, "a recording outlives its channel, if only to say that it is gone"


async def test_what_is_deleted_while_the_operator_is_away_leaves_no_ghost(
    stream: Stream, kubectl: Kubectl, onair: Installation
) -> None:
    gone, stays = stream, Stream(kubectl, "stays")
    for each in (gone, stays):
        each.declare()
    for each in (gone, stays):
        each.ready()
    onair.stop_operator()
    gone.delete()
    onair.start_operator()
    assert until("it leads again", onair.leader)

    def no_ghosts() -> bool:
        there = kubectl.list("livestreams", "--all-namespaces")
        return len(there) == sum(onair.metric("onair_operator_live_streams").values())

    until("it knows those that are there, and no other", no_ghosts)
    await nothing_is_left(kubectl, but="stays")
    stays.ready()


async def nothing_is_left(kubectl: Kubectl, but: str = "") -> None:
    kinds = "pods,services,networkpolicies,secrets,persistentvolumeclaims"
    selector = f"app.kubernetes.io/managed-by=onair,onair.dev/live-stream!={but}"
    until("its children are gone", lambda: not kubectl.list(kinds, "-l", selector), 90)
