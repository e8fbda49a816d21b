"""Streams whose recordings are in an object store: broadcasts outlive their pods, credentials come from the class."""

from __future__ import annotations

import msgspec
from reconcile_stage import KEY, NOW, Stage
from test_reconcile import E, live, ready, run, told

from onair_core.contract import BroadcastRef, JournalEvent, OpenBroadcast
from onair_core.kube.resources import LIVE_STREAM_CLASSES, PODS, SECRETS
from onair_core.kube.store import Key
from onair_operator.desired.labels import INCARNATION
from onair_operator.desired.pod import RESUMES, TAKEN

STORE = {"url": "s3://recordings/onair", "endpoint": "https://s3.example.com"}


def with_credentials(stage: Stage, name: str = "recordings-s3", **data: str) -> None:
    metadata = {"name": name, "namespace": "onair-system"}
    stage.contents[Key("onair-system", name)] = data or {"AWS_ACCESS_KEY_ID": "YQ=="}
    stage.has(SECRETS, {"metadata": metadata})


def test_a_broadcast_goes_on_in_the_next_pod_when_its_own_is_gone() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a", store=STORE)
        uid = await ready(stage, className="a")
        await live(stage, uid)
        assert stage.asset("b1")["spec"]["store"] == STORE
        assert INCARNATION not in stage.asset("b1")["metadata"]["labels"], "it is on no volume"

        stage.loses(PODS, stage.pod())
        await stage.works()
        assert stage.status["broadcast"]["id"] == "b1" and stage.asset("b1")["status"]["isLive"]
        second = stage.pod()["metadata"]["annotations"]
        begun = OpenBroadcast(id="b1", store=STORE["url"], started_at=NOW + 1, active=True, ready=True)
        assert msgspec.json.decode(second[RESUMES], type=OpenBroadcast) == begun and second[TAKEN] == "1.5"

        running = stage.runs()["metadata"]["uid"]
        await stage.works()
        stage.written()
        # Its journal goes on in a later epoch, with the same recording.
        ref = BroadcastRef("b1", 9)
        lost = JournalEvent(
            epoch=9, n=1, type=E.STREAM_DISCONNECTED, at=NOW + 9, broadcast=ref, data={"since": NOW + 5}
        )
        stage.pods.told[running] = [lost]
        stage.a_second_later()
        await stage.works()
        assert not stage.status["connected"] and stage.status["broadcast"]["incarnation"] == 2
        assert stage.pod()["metadata"]["annotations"] == second, "what it began with does not move with events"
        again = told("b1", 9, [E.STREAM_CONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED], first=2)
        stage.pods.told[running] = [lost, *again]
        stage.a_second_later()
        await stage.works()
        assert "broadcast" not in stage.status and not stage.asset("b1")["status"]["isLive"]
        assert stage.status["recentAssets"] == ["b1"]

    run(story())


def test_a_pod_that_is_made_while_nothing_is_on_goes_on_with_nothing() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a", store=STORE)
        await ready(stage, className="a")
        assert RESUMES not in stage.pod()["metadata"]["annotations"]

    run(story())


def test_credentials_of_the_class_are_copied_and_missing_ones_are_told() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a", store={**STORE, "secretRef": {"name": "recordings-s3"}})
        stage.declare(className="a")
        await stage.works()
        assert stage.condition("Stalled") == ("True", "StoreCredentialsMissing")
        with_credentials(stage)
        await stage.works()
        assert ("apply", "Secret", "keynote-store") in stage.written()
        stage.runs()
        await stage.works()
        assert stage.condition("Ready") == ("True", "AcceptingPublisher")

        # Gone with a mistake of somebody's: whoever has a copy goes on, and the class says so.
        found = stage.world.secrets.get(KEY._replace(namespace="onair-system", name="recordings-s3"))
        assert found is not None
        stage.loses(SECRETS, found)
        await stage.works()
        assert stage.condition("Ready") == ("True", "AcceptingPublisher")
        assert stage.world.secrets.get(KEY._replace(name="keynote-store")) is not None

    run(story())


def test_a_recording_in_a_store_is_not_lost_with_its_stream() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a", store=STORE)
        uid = await ready(stage, className="a")
        await live(stage, uid)
        stage.pods.told[uid] = told("b1", 1, [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED], first=6)
        stage.a_second_later()
        await stage.works()
        stage.loses(PODS, stage.pod())
        await stage.looks_at_assets()
        assert stage.asset("b1")["status"]["state"] == "Ready"

    run(story())


def test_a_class_that_names_what_is_not_there_takes_no_channel_down() -> None:
    """A slip of the pen in a class with a hundred channels: they go on as they are, and say what they wait for."""

    async def story() -> None:
        stage = Stage()
        stage.cls("a")
        await ready(stage, className="a")
        before, pod = stage.status["ingest"], stage.pod()["metadata"]["name"]
        ingest = {"tls": {"secretName": "no-such-secret"}}
        changed = {"metadata": {"name": "a", "generation": 2}, "spec": {"ingest": ingest}}
        stage.has(LIVE_STREAM_CLASSES, changed)
        await stage.works()
        assert stage.condition("Ready") == ("True", "AcceptingPublisher") and stage.condition("Stalled")[0] == "False"
        assert stage.condition("UpdatePending") == ("True", "CertificateMissing")
        assert not stage.pods.drained and stage.pod()["metadata"]["name"] == pod
        assert stage.status["ingest"] == before, "its pod takes no RTMPS yet"

        stage.has(LIVE_STREAM_CLASSES, {"metadata": {"name": "a", "generation": 3}, "spec": {}})
        await stage.works()
        assert stage.condition("UpdatePending") == ("False", "NothingPending") and not stage.pods.drained

    run(story())
