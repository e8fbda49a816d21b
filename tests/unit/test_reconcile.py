"""One LiveStream from its declaration to its end, with what pods tell in between."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from reconcile_stage import KEY, NOW, Stage

from onair_core.contract import BroadcastRef, Cursor, EventType, JournalEvent
from onair_core.kube.errors import Forbidden
from onair_core.kube.resources import LIVE_STREAM_CLASSES, LIVE_STREAMS, PODS, SECRETS
from onair_core.kube.store import Key
from onair_operator.desired.pod import TAKEN

E = EventType
LIVE = (E.STREAM_CONNECTED, E.ASSET_CREATED, E.STREAM_RECORDING, E.STREAM_ACTIVE, E.ASSET_READY)


def told(broadcast: str, epoch: int, kinds: Iterable[EventType], first: int = 1) -> list[JournalEvent]:
    ref = BroadcastRef(broadcast, epoch)
    return [
        JournalEvent(epoch=epoch, n=n, type=kind, at=NOW + n, broadcast=ref, data={"recorded": True})
        for n, kind in enumerate(kinds, first)
    ]


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def ready(stage: Stage, **spec: Any) -> str:
    """The uid of its pod."""
    stage.declare(**spec)
    await stage.works()
    uid: str = stage.runs()["metadata"]["uid"]
    await stage.works()
    assert stage.condition("Ready") == ("True", "AcceptingPublisher")
    stage.written()
    return uid


async def live(stage: Stage, uid: str, *, epoch: int = 1) -> None:
    stage.pods.told[uid] = told(f"b{epoch}", epoch, LIVE)
    await stage.works()
    assert stage.status["connected"] and stage.status["broadcast"]["id"] == f"b{epoch}"
    stage.written()


def test_a_second_look_writes_nothing() -> None:
    async def story() -> None:
        stage = Stage()
        stage.declare()
        await stage.works()
        assert [(verb, kind) for verb, kind, _ in stage.written()] == [
            ("apply", "Secret"),
            ("apply", "Secret"),
            ("apply", "NetworkPolicy"),
            ("apply", "Service"),
            ("create", "Pod"),
            ("status", "LiveStream"),
        ]
        assert stage.condition("Ready") == ("False", "PodStarting") == (stage.condition("Ready")[0], "PodStarting")
        for _ in range(3):
            assert await stage.works() is None
        assert stage.written() == []
        stage.runs()
        await stage.works()
        assert stage.written() == [("status", "LiveStream", "keynote")]
        await stage.works()
        assert stage.written() == []

    run(story())


def test_going_live_is_an_asset_and_one_status() -> None:
    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        stage.pods.told[uid] = told("b1", 1, LIVE)
        await stage.works()
        assert stage.written() == [
            ("create", "Asset", "b1"),
            ("status", "Asset", "b1"),
            ("status", "LiveStream", "keynote"),
        ]
        assert stage.pods.told[uid] == [], "and the pod's follower knows that it was taken"
        await stage.looks_at_assets()
        assert stage.written() == [] and stage.asset("b1")["status"]["state"] == "Ready"

    run(story())


def test_events_in_quick_succession_are_one_status_a_second() -> None:
    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        await live(stage, uid)
        stage.pods.told[uid] = told("b1", 1, [E.STREAM_DISCONNECTED], first=6)
        again = await stage.works()
        assert again is not None and 0 < again <= 1 and stage.status["connected"] and stage.written() == []

    run(story())


def test_the_next_pod_begins_behind_all_that_the_last_one_told() -> None:
    """Its epochs are above `taken`: were the last one's first events not in it, both would have the same epoch, and
    what the next one tells would be taken for old.
    """

    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        await live(stage, uid, epoch=1)
        stage.pods.told[uid] = told("b2", 2, LIVE)  # within the second: status waits
        stage.loses(PODS, stage.pod())
        await stage.works()
        successor = stage.pod()
        assert Cursor.parse(successor["metadata"]["annotations"][TAKEN]) >= Cursor(2, 5)
        assert "broadcast" not in stage.status, "and what it left open has ended"
        uid = stage.runs()["metadata"]["uid"]
        await stage.works()
        stage.pods.told[uid] = told("b3", 3, LIVE)
        await asyncio.sleep(1.05)
        await stage.works()
        assert stage.status["broadcast"]["id"] == "b3"

    run(story())


def test_a_pod_whose_node_is_gone_ends_its_broadcast_when_it_is_overdue() -> None:
    """Deleted by the taint manager, it stays Terminating for as long as its Node does."""

    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        await live(stage, uid)
        gone = stage.pod()
        by = {**gone["metadata"], "deletionTimestamp": "2027-01-15T08:01:00Z"}  # a minute from now
        stage.has(PODS, {**gone, "metadata": by})
        again = await stage.works()
        assert stage.pod()["metadata"]["uid"] != uid, "encoders find another at once"
        assert stage.status["connected"] and again == 90, "it may still tell how it ended"
        stage.now = NOW + 91
        again = await stage.works()
        assert stage.status["connected"] and again is not None and again <= 2, "it does still tell"
        stage.pods.connected.clear()
        await stage.works()
        assert stage.status["connected"], "nor is it given up by an operator that has not asked it yet"
        stage.pods.troubles[uid] = "no answer in time"
        await asyncio.sleep(1.05)
        await stage.works()
        assert not stage.status["connected"] and "broadcast" not in stage.status
        reasons = [event.get("reason") for event in stage.status["events"][-3:]]
        assert reasons == ["PodLost", "PodLost", None] and stage.asset("b1")["status"]["isLive"] is False
        stage.written()
        await stage.works()
        assert stage.written() == []

    run(story())


def test_a_recording_that_went_with_its_pod_stays_lost() -> None:
    """Whoever looks last: the stream's reconcile ends the broadcast, the Asset's says that its data is gone."""

    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        await live(stage, uid)
        stage.loses(PODS, stage.pod())
        await stage.looks_at_assets()
        assert stage.asset("b1")["status"]["state"] == "Errored"
        await stage.works()
        await stage.looks_at_assets()  # as the world's trigger has it
        assert (
            stage.asset("b1")["status"]["state"] == "Errored" and "gone with it" in stage.asset("b1")["status"]["error"]
        )
        stage.written()
        await stage.works()
        await stage.looks_at_assets()
        assert stage.written() == []

    run(story())


def test_an_idle_pod_is_drained_and_replaced_when_its_class_changes() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a")
        uid = await ready(stage, className="a")
        stage.has(
            LIVE_STREAM_CLASSES, {"metadata": {"name": "a", "generation": 2}, "spec": {"ingest": {"image": "onair:2"}}}
        )
        first = stage.pod()["metadata"]["name"]
        await stage.works()
        assert stage.pods.drained == [uid]
        written = stage.written()
        assert ("delete", "Pod", first) in written and ("create", "Pod", stage.pod()["metadata"]["name"]) in written
        order = [(verb, kind) for verb, kind, _ in written if kind in ("Service", "Pod")]
        assert order == [("apply", "Service"), ("delete", "Pod"), ("create", "Pod")]
        assert stage.condition("Ready") == ("False", "PodStarting") and stage.status["incarnation"] == 2

    run(story())


def test_an_idle_pod_waits_while_another_channel_of_its_class_is_down() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a")
        uid = await ready(stage, className="a")
        other = Key("events", "other")
        stage.rollout.note(other, "a", 25, down=True, waits=False)
        stage.has(
            LIVE_STREAM_CLASSES, {"metadata": {"name": "a", "generation": 2}, "spec": {"ingest": {"image": "onair:2"}}}
        )
        await stage.works()
        assert stage.condition("UpdatePending") == ("True", "RolloutLimited")
        assert stage.condition("Ready")[0] == "True" and not stage.pods.drained
        assert stage.written() == [("status", "LiveStream", "keynote")]
        await stage.works()
        assert stage.written() == [] and not stage.woken

        stage.rollout.note(other, "a", 25, down=False, waits=False)
        assert stage.woken == [KEY]
        await stage.works()
        assert stage.pods.drained == [uid] and stage.condition("UpdatePending") == ("False", "NothingPending")
        assert not stage.rollout.has_turn(other, "a", 25), "it is down itself now"

    run(story())


def test_a_class_that_goes_does_not_drain_anybody() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a", ingest={"image": "onair:2", "hostname": "ingest.example.com"})
        await ready(stage, className="a")
        before = stage.status
        stage.loses(LIVE_STREAM_CLASSES, {"metadata": {"name": "a"}})
        await stage.works()
        assert not stage.pods.drained and stage.condition("Stalled") == ("True", "ClassNotFound")
        assert stage.condition("UpdatePending") == ("False", "NothingPending")
        assert stage.written() == [("status", "LiveStream", "keynote")]
        for field in ("ingest", "playback", "className", "phase", "incarnation"):
            assert stage.status[field] == before[field]

    run(story())


def test_the_standard_class_is_not_made_up_when_it_goes() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls(ingest={"volume": {"persistentVolumeClaim": {"size": "1Gi"}}})
        await ready(stage)
        stage.loses(LIVE_STREAM_CLASSES, {"metadata": {"name": "standard"}})
        await stage.works()
        assert stage.condition("Stalled") == ("True", "ClassNotFound") and not stage.pods.drained
        assert stage.written() == [("status", "LiveStream", "keynote")]

    run(story())


def test_a_class_that_goes_ends_no_broadcast_that_its_claim_may_have_kept() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a", ingest={"volume": {"persistentVolumeClaim": {"size": "1Gi"}}})
        uid = await ready(stage, className="a")
        await live(stage, uid)
        stage.loses(LIVE_STREAM_CLASSES, {"metadata": {"name": "a"}})
        stage.loses(PODS, stage.pod())
        await stage.works()
        assert stage.status["broadcast"]["id"] == "b1" and stage.condition("Stalled")[0] == "True"

    run(story())


def test_a_class_that_gets_a_claim_keeps_no_broadcast_open_that_had_none() -> None:
    """Its pod is gone with its emptyDir; the next one, on the claim, knows nothing of it and would never end it."""

    async def story() -> None:
        stage = Stage()
        stage.cls("a")
        uid = await ready(stage, className="a")
        await live(stage, uid)
        volume = {"persistentVolumeClaim": {"size": "1Gi"}}
        stage.has(
            LIVE_STREAM_CLASSES, {"metadata": {"name": "a", "generation": 2}, "spec": {"ingest": {"volume": volume}}}
        )
        await stage.works()
        stage.loses(PODS, stage.pod())
        await stage.works()
        assert "broadcast" not in stage.status and stage.status["phase"] == "Idle"
        assert not stage.asset("b1")["status"]["isLive"]

    run(story())


def test_secrets_of_pods_that_are_gone_go_and_one_that_is_referred_to_stays() -> None:
    async def story() -> None:
        stage = Stage()
        await ready(stage)
        first = stage.pod()["metadata"]["name"]
        stage.loses(PODS, stage.pod())
        await stage.works()
        assert ("delete", "Secret", first) in stage.written()
        stage.declare(streamKey={"secretRef": {"name": "keynote-stream-key", "key": "streamKey"}})
        await stage.works()
        assert ("delete", "Secret", "keynote-stream-key") not in stage.written()
        stage.has(SECRETS, {"metadata": {"namespace": "events", "name": "mine"}, "data": {"streamKey": "a" * 40}})
        stage.declare(streamKey={"secretRef": {"name": "mine", "key": "streamKey"}})
        await stage.works()
        assert ("delete", "Secret", "keynote-stream-key") in stage.written()

    run(story())


def test_nothing_is_done_in_a_namespace_of_which_not_everything_is_known() -> None:
    """Its pods may be there, and be live; what a recording is on may be there."""

    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        await live(stage, uid)
        stage.world.pods.reflectors[None].synced.clear()
        stage.loses(PODS, stage.pod())
        assert await stage.works() and await stage.assets.reconcile(Key(KEY.namespace, "b1"))
        assert stage.written() == []

    run(story())


def test_one_that_is_deleted_is_forgotten() -> None:
    async def story() -> None:
        stage = Stage()
        await ready(stage)
        assert stage.pods.followed
        stage.loses(LIVE_STREAMS, stage.world.streams.get(KEY))
        assert await stage.works() is None
        assert not stage.pods.followed and not stage.streams._channels and stage.written() == []

    run(story())


def test_what_an_earlier_stream_of_that_name_was_made_to_leave_is_taken_up_or_removed() -> None:
    """`kubectl delete --cascade=orphan`: the Secret with the key serves again, the pod answers to nobody any more."""

    async def story() -> None:
        stage = Stage()
        await ready(stage)
        stray = stage.pod()
        labels = {**stray["metadata"]["labels"]}
        for resource, name in ((PODS, stray["metadata"]["name"]), (SECRETS, "keynote-stream-key")):
            found = stage.world.cache_of(resource).get(Key("events", name))
            assert found is not None
            metadata = {key: value for key, value in found["metadata"].items() if key != "ownerReferences"}
            stage.has(resource, {**found, "metadata": {**metadata, "labels": labels}})
        await stage.works()
        assert stage.condition("Stalled")[0] == "False"
        written = stage.written()
        assert ("delete", "Pod", stray["metadata"]["name"]) in written
        assert [name for verb, kind, name in written if (verb, kind) == ("create", "Pod")]

    run(story())


def test_a_channel_that_cannot_have_a_pod_holds_up_nobody() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a")
        stage.refuses["Pod"] = Forbidden(403, "Forbidden", "exceeded quota: q", {}, None)
        stage.declare(className="a")
        await stage.works()
        assert stage.condition("Stalled") == ("True", "Refused")
        other = Key("events", "other")
        stage.rollout.note(other, "a", 25, down=False, waits=False)
        assert stage.rollout.has_turn(other, "a", 25)

        # One that was replaced, and of which the next is refused, does.
        stage.refuses.clear()
        await stage.works()
        stage.runs()
        await stage.works()
        stage.refuses["Pod"] = Forbidden(403, "Forbidden", "exceeded quota: q", {}, None)
        stage.has(
            LIVE_STREAM_CLASSES, {"metadata": {"name": "a", "generation": 2}, "spec": {"ingest": {"image": "onair:2"}}}
        )
        await stage.works()
        assert not stage.rollout.has_turn(other, "a", 25)
        stage.loses(PODS, stage.pod())
        await stage.works()
        assert not stage.rollout.has_turn(other, "a", 25)

    run(story())


def test_nobody_is_active_without_a_broadcast() -> None:
    """Whatever somebody has done to the status by hand."""

    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        await live(stage, uid)
        found = stage.world.streams.get(KEY)
        assert found is not None
        edited = {name: value for name, value in found["status"].items() if name not in ("broadcast", "connected")}
        stage.has(LIVE_STREAMS, {**found, "status": edited})
        await stage.works()
        assert stage.status["phase"] == "Idle" and not stage.status["connected"]

    run(story())
