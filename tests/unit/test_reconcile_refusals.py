"""What becomes of a LiveStream when the cluster refuses something, and of a live one when its class changes."""

from __future__ import annotations

from typing import Any

import pytest
from reconcile_stage import KEY, Stage
from test_reconcile import LIVE, live, ready, run, told

from onair_core.contract import EventType
from onair_core.kube.errors import Forbidden
from onair_core.kube.resources import LIVE_STREAM_CLASSES, PODS
from onair_core.kube.store import Key
from onair_operator.apply.writer import NotOurs, StillLeaving

QUOTA = "exceeded quota: small, requested: 1, used: 1, limited: 1"


def forbidden(message: str) -> Forbidden:
    return Forbidden(403, "Forbidden", message, {}, None)


def test_a_key_that_is_reset_reaches_the_pod_whatever_is_refused() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a")
        uid = await ready(stage, className="a")
        await live(stage, uid)
        before = stage.pods.configured[uid].channel.keys
        stage.refuses["NetworkPolicy"] = forbidden("a webhook denied the request")
        policy = {"name": "keynote-ingest", "namespace": KEY.namespace}
        stage.loses(stage.world.policies.resource, {"metadata": policy})
        stage.declare(className="a", streamKey={"rotation": "2"})
        await stage.works()
        assert stage.condition("Stalled") == ("True", "Refused")
        assert stage.pods.configured[uid].channel.keys not in ((), before)

    run(story())


def test_an_asset_that_is_refused_holds_up_nothing_else() -> None:
    """By a quota for Assets, say: a stream that is disabled has to be, and what was told is taken in later."""

    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        stage.refuses["Asset"] = forbidden(QUOTA)
        stage.pods.told[uid] = told("b1", 1, LIVE)
        assert await stage.works() is not None, "nobody tells of a quota"
        assert stage.condition("Stalled") == ("True", "Refused") and "journal" not in stage.status
        assert stage.status["connected"] and stage.status["phase"] == "Active" and "activeAsset" not in stage.status
        stage.a_second_later()
        stage.written()
        await stage.works()
        assert stage.written() == [], "the next try finds the same"
        stage.declare(disabled=True)
        stage.a_second_later()
        await stage.works()
        assert stage.pods.configured[uid].channel.disabled
        stage.refuses.clear()
        stage.a_second_later()
        await stage.works()
        assert stage.asset("b1") and stage.condition("Stalled")[0] == "False" and stage.pods.told[uid] == []
        assert stage.status["activeAsset"] == "b1" and len(stage.status["events"]) == len(LIVE)

    run(story())


def test_no_pod_is_made_before_what_the_last_one_told_is_taken_in() -> None:
    async def story() -> None:
        stage = Stage()
        uid = await ready(stage)
        stage.pods.told[uid] = told("b1", 1, LIVE)
        stage.refuses["Asset"] = forbidden(QUOTA)
        stage.loses(PODS, stage.pod())
        await stage.works()
        assert stage.condition("Ready") == ("False", "Refused")
        assert not any(verb == "create" for verb, _, _ in stage.written()) and stage.status["incarnation"] == 1
        stage.refuses.clear()
        await stage.works()
        assert stage.status["incarnation"] == 2 and stage.condition("Ready") == ("False", "PodStarting")

    run(story())


def test_a_quota_that_the_last_pod_still_fills_is_no_reason_to_be_stalled() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a")
        await ready(stage, className="a")
        first = stage.pod()
        stage.refuses["Pod"] = forbidden(QUOTA)
        stage.has(LIVE_STREAM_CLASSES, changed("a", image="onair:2"))
        await stage.works()
        assert (stage.condition("Reconciling"), stage.condition("Stalled")[0]) == (("True", "Refused"), "False")
        stage.loses(PODS, first)
        await stage.works()
        assert stage.condition("Stalled") == ("True", "Refused"), "now it is somebody else who fills it"

    run(story())


def test_right_after_an_installation_the_api_server_may_not_know_the_owners_kind() -> None:
    async def story() -> None:
        stage = Stage()
        unknown = "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for Kind LiveStream: …"
        stage.refuses["Secret"] = forbidden(unknown)
        stage.declare()
        again = await stage.works()
        assert again is not None and again <= 2, "in a moment it does"
        assert (stage.condition("Reconciling"), stage.condition("Stalled")[0]) == (("True", "Refused"), "False")
        stage.refuses.clear()
        await stage.works()
        assert stage.condition("Ready") == ("False", "PodStarting")

    run(story())


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        ("Service", StillLeaving("Service keynote-ingest is of an earlier LiveStream and on its way out")),
        ("Service", NotOurs("Service keynote-ingest belongs to somebody else")),
        ("Secret", forbidden("cannot find RESTMapping for Kind LiveStream")),
        ("Pod", forbidden(QUOTA)),
    ],
)
def test_what_waits_writes_once_and_counts_no_incarnations(kind: str, refusal: Exception) -> None:
    """Each try would be a pod that is never made, with a Secret of its own and a status."""

    async def story() -> None:
        stage = Stage()
        stage.declare()
        stage.refuses[kind] = refusal
        await stage.works()
        stage.written()
        for _ in range(5):
            assert await stage.works() is not None
        assert stage.written() == [] and "incarnation" not in stage.status
        stage.refuses.clear()
        await stage.works()
        assert stage.status["incarnation"] == 1 and stage.condition("Ready") == ("False", "PodStarting")

    run(story())


def test_a_live_channels_service_changes_when_the_broadcast_has_ended() -> None:
    """Of another type, a load balancer goes, and with it the encoder's connection."""

    async def story() -> None:
        stage = Stage()
        stage.cls("a", ingest={"service": {"type": "LoadBalancer"}})
        stage.declare(className="a")
        await stage.works()
        service = Key(KEY.namespace, "keynote-ingest")
        found: Any = stage.world.services.get(service)
        stage.has(
            stage.world.services.resource, {**found, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
        )
        uid: str = stage.runs()["metadata"]["uid"]
        await stage.works()
        await live(stage, uid)
        stage.has(LIVE_STREAM_CLASSES, changed("a", service={"type": "ClusterIP"}))
        await stage.works()
        assert ("apply", "Service", service.name) not in stage.written()
        assert stage.condition("UpdatePending") == ("True", "BroadcastRunning")
        assert stage.condition("Ready")[0] == "True" and stage.condition("Reconciling")[0] == "False"
        stage.pods.told[uid] = told("b1", 1, [EventType.STREAM_IDLE], first=6)
        stage.a_second_later()
        await stage.works()
        assert ("apply", "Service", service.name) in stage.written()
        assert stage.condition("UpdatePending") == ("False", "NothingPending")

    run(story())


def test_a_pod_that_is_to_end_stays_drained() -> None:
    """It has been told to go and may not know yet; a broadcast that began now would end with it."""

    async def story() -> None:
        stage = Stage()
        volume = {"persistentVolumeClaim": {"size": "1Gi"}}
        stage.cls("a", ingest={"volume": volume})
        uid = await ready(stage, className="a")
        stage.has(LIVE_STREAM_CLASSES, changed("a", volume=volume, image="onair:2"))
        stage.pods.configured.clear()
        for _ in range(3):
            await stage.works()
        assert stage.condition("Ready") == ("False", "VolumeInUse")
        assert stage.pods.drained == [uid] and not stage.pods.configured

    run(story())


def test_an_operator_that_begins_replaces_no_pod_that_it_has_not_asked() -> None:
    async def story() -> None:
        stage = Stage()
        stage.cls("a")
        uid = await ready(stage, className="a")
        stage.pods.connected.clear()  # as after a restart
        pod = stage.pod()
        conditions = [{"type": "Ready", "status": "False"}]  # its node was silent for a moment
        stage.has(PODS, {**pod, "status": {**pod["status"], "conditions": conditions}})
        stage.has(LIVE_STREAM_CLASSES, changed("a", image="onair:2"))
        await stage.works()
        assert not any(kind == "Pod" for _, kind, _ in stage.written())
        stage.pods.troubles[uid] = "refused"
        await stage.works()
        assert ("delete", "Pod", pod["metadata"]["name"]) in stage.written()

    run(story())


def changed(name: str, **ingest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "generation": 2}, "spec": {"ingest": ingest}}
