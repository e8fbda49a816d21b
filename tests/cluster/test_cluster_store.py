"""Recordings in an object store, on the cluster: what is recorded outlives the pod, its broadcast, and the LiveStream."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from encoders import FFmpeg, ProcessEncoder
from viewers import decode

from installation import Installation, Stream
from kubelab import binaries
from kubelab.kubectl import Kubectl
from kubelab.provider import Cluster
from kubelab.required import NOT_OF_THIS_KIND
from kubelab.waiting import until
from s3_server import S3Server

CLASS, CREDENTIALS = "recorded", "recordings-s3"


@pytest.fixture
def bucket(cluster: Cluster, tmp_path: Path) -> Iterator[S3Server]:
    """An S3 server that pods reach: at the address of the first node, where that is this machine."""
    nodes = cluster.kubectl.list("nodes")
    addresses = [a["address"] for node in nodes for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    host = next(filter(_is_here, addresses), None)
    if host is None:
        pytest.skip(f"{NOT_OF_THIS_KIND}: its pods do not reach this machine")
    server = S3Server(binaries.path("versitygw"), tmp_path / "s3", host)
    server.start()
    yield server
    server.stop()


def _is_here(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


@pytest.fixture
def recorded(onair: Installation, bucket: S3Server) -> Iterator[str]:
    """A class that records there."""
    data = {name: base64.b64encode(value.encode()).decode() for name, value in bucket.credentials.items()}
    store = {"url": bucket.settings.url, "endpoint": bucket.endpoint, "region": bucket.settings.region}
    spec = {"store": {**store, "secretRef": {"name": CREDENTIALS}}}
    onair.kubectl.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": CREDENTIALS}, "data": data},
        {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStreamClass", "metadata": {"name": CLASS}, "spec": spec},
    )
    onair.kubectl.wait(f"livestreamclass/{CLASS}", "Ready")
    yield CLASS
    onair.kubectl.delete(f"livestreamclass/{CLASS}", f"secret/{CREDENTIALS}")


@pytest.fixture
async def ffmpeg(tmp_path: Path) -> AsyncIterator[FFmpeg]:
    yield FFmpeg(tmp_path / "ffmpeg.log")
    await ProcessEncoder.kill_all()


@pytest.fixture
def stream(kubectl: Kubectl, recorded: str, reaching: None) -> Stream:
    found = Stream(kubectl)
    found.declare(className=recorded, newAssetSettings={"playback": [{"policy": "public"}]})
    found.ready()
    return found


def entries(bucket: S3Server, asset: str) -> list[str]:
    return [name for name in bucket.objects if name.startswith(f"assets/{asset}/manifest/")]


def document(bucket: S3Server, asset: str) -> dict[str, Any]:
    text = (bucket.folder / "recordings" / "onair" / "assets" / asset / "asset.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


async def test_a_broadcast_goes_on_in_another_pod_and_its_recording_outlives_the_stream(
    stream: Stream, kubectl: Kubectl, bucket: S3Server, ffmpeg: FFmpeg
) -> None:
    await ffmpeg.start(stream.url())
    asset = stream.becomes("is live", phase="Active")["activeAsset"]
    until("the bucket has some of it", lambda: len(entries(bucket, asset)) >= 4)
    (lost,) = stream.pods()

    # At once, as with its node; the encoder comes back by itself.
    kubectl.run("delete", "pod", lost, "--grace-period=0", "--force")
    until("another pod is there", lambda: stream.pods() not in ([], [lost]))
    stream.ready()
    await ffmpeg.kill()
    await ffmpeg.start(stream.url())
    back = stream.becomes("has its encoder back", connected=True)
    assert (back["activeAsset"], back["recentAssets"], back["phase"]) == (asset, [asset], "Active")
    before = len(entries(bucket, asset))
    until("more of it comes", lambda: len(entries(bucket, asset)) >= before + 3)

    kubectl.run("annotate", f"livestream/{stream.name}", f"onair.dev/complete={asset}")
    await ffmpeg.stop()
    stream.becomes("is over", phase="Idle", connected=False)
    until("it is complete in the bucket", lambda: f"assets/{asset}/asset.json" in bucket.objects)
    found = document(bucket, asset)
    epochs = [segment["epoch"] for segment in found["segments"]]
    assert epochs == sorted(epochs) and len(set(epochs)) == 2 and found["origin"]["namespace"] == kubectl.namespace
    until("the Asset says so", lambda: not stream.assets()[asset]["isLive"])
    status = stream.assets()[asset]
    assert status["state"] == "Ready" and len(status["recordingTimes"]) == 2

    playback = status["playback"][0]["url"].replace(f"{stream.name}-ingest.{kubectl.namespace}.svc", stream.address())
    decoded = await decode(playback)
    assert decoded.video > 25 * found["duration"] and not decoded.complaints

    stream.delete()
    until("the pod is gone", lambda: not stream.pods())
    folder = bucket.folder / "recordings" / "onair" / "assets" / asset
    static = await decode(str(folder / "index.m3u8"))
    assert static.video == decoded.video, "the folder is a recording without OnAir"
    assert kubectl.get("asset", asset)["status"]["state"] == "Ready"


async def test_a_store_that_is_away_is_told_and_caught_up_with(
    stream: Stream, bucket: S3Server, ffmpeg: FFmpeg
) -> None:
    await ffmpeg.start(stream.url())
    asset = stream.becomes("is live", phase="Active")["activeAsset"]
    until("the bucket has some of it", lambda: len(entries(bucket, asset)) >= 2)
    bucket.stop()
    until("it is told", lambda: "RecordingStalled" in _reasons(stream))
    decoded = await decode(stream.playlist(), first_seconds=3)
    assert decoded.video > 30 and stream.status["connected"], "the live stream does not notice"
    bucket.start()
    until("it is caught up with", lambda: "RecordingResumed" in _reasons(stream))
    await ffmpeg.stop()
    stream.kubectl.run("annotate", f"livestream/{stream.name}", f"onair.dev/complete={asset}")
    until("it is complete in the bucket", lambda: f"assets/{asset}/asset.json" in bucket.objects)
    segments = document(bucket, asset)["segments"]
    assert not any(segment.get("discontinuity") for segment in segments)
    numbers = [segment["number"] for segment in segments]
    assert numbers == list(range(len(numbers)))


def _reasons(stream: Stream) -> list[str]:
    return [event.get("reason", "") for event in stream.status["events"]]
