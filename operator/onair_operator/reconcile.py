"""One LiveStream made what it should be: `StreamReconciler.reconcile` is the table of contents.

Level-triggered: it looks at what there is, and not at what has changed; run twice, it does nothing the second time.
What it remembers between runs (`Channel`) can be lost with the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from onair_core.kube.errors import NotFound
from onair_core.kube.resources import LIVE_STREAMS
from onair_core.kube.store import Key
from onair_core.manifests import COMPLETE
from onair_operator.apply.writer import Writer
from onair_operator.channel import Channel
from onair_operator.conversation import Conversation
from onair_operator.decide.assets import ON_CLAIM, is_in_object_store
from onair_operator.decide.conditions import Verdict
from onair_operator.decide.incarnation import (
    ROLLOUT_LIMITED,
    VOLUME_IN_USE,
    Decision,
    Step,
    current_pod,
    decide_incarnation,
    incarnation_number,
    is_ready,
    update_pending,
)
from onair_operator.decide.plan import NOT_PROVISIONED, Plan, draft, finish
from onair_operator.decide.pods import overdue
from onair_operator.decide.readiness import own_part, verdicts, with_verdicts
from onair_operator.decide.stream_status import configured_status, unprovisioned_status
from onair_operator.decide.told import open_broadcast, taken_by
from onair_operator.desired.addresses import ingest_addresses, playback_url
from onair_operator.desired.labels import INCARNATION
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.pod import DEFAULT_STORE, pod_hash
from onair_operator.desired.provide import provide
from onair_operator.desired.provision import Installation, Provision
from onair_operator.journals import AssetRefused, Journals
from onair_operator.making import REFUSED_SECONDS, Maker, Outcome, Turn, pod_of, refused
from onair_operator.observe.secrets import SecretReader
from onair_operator.observe.world import NOT_KNOWN_SECONDS, Children, World
from onair_operator.rollout import Rollout

log = structlog.get_logger(__name__)

Object = dict[str, Any]

# Status gets events at most so often; a change of the manifest does not wait.
TELLING_SECONDS = 1.0
# A pod that should have been gone and still tells is looked at again after so many seconds.
LATE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of what the pods told: the status after it. `refused`: why it could not be taken in."""

    status: Object
    again: float | None = None
    refused: Verdict | None = None


class StreamReconciler:
    """`reconcile` is the work of a queue whose keys are those of LiveStreams."""

    def __init__(
        self,
        world: World,
        writer: Writer,
        conversation: Conversation,
        secrets: SecretReader,
        rollout: Rollout,
        *,
        root: bytes,
        installation: Installation,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._world = world
        self._writer = writer
        self._conversation = conversation
        self._secrets = secrets
        self._rollout = rollout
        self._maker = Maker(world, writer, conversation, secrets, installation)
        self._journals = Journals(writer, world.assets, root)
        self._root = root
        self._installation = installation
        self._wall = wall
        self._channels: dict[Key, Channel] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Seconds after which to look again, or None. Raises `KubeError`: it is tried again."""
        stream = self._world.streams.get(key)
        if stream is None or "deletionTimestamp" in stream["metadata"]:
            self._forget(key)
            return None
        if not self._world.knows(key.namespace):
            return NOT_KNOWN_SECONDS
        channel = self._channel(key, stream["metadata"]["uid"])
        plan = await self._plan(stream)
        children = self._world.children_of(plan.ref)
        before = stream.get("status") or {}
        self._conversation.follow(channel, plan.ref, children, taken_by(before))

        heard = await self._take_in(channel, stream, plan, children)
        secrets = await self._maker.class_secrets(plan)
        decision = await self._decide(channel, plan, children, heard.status, secrets.problem)
        if decision.create:
            # The next pod begins its epochs behind what status has by then: nothing of the last one may be missing.
            heard = await self._take_in(channel, stream, plan, children, at_once=True)
            decision = self._decision(channel, plan, children, heard.status, secrets.problem)
        self._note(key, plan, children, decision)
        provision = self._provision(channel, plan, children, heard.status, decision.current)
        turn = Turn(channel, plan, provision, children, secrets, decision, heard.status, taken_by(before))
        outcome = Outcome()
        if _is_provisioned(plan) and not (decision.create and heard.refused):
            outcome = await self._maker.make(turn)
            pod = pod_of(children, provision.incarnation)
            await self._conversation.complete(channel, pod, _to_complete(stream, heard.status))
        outcome.blocked = outcome.blocked or heard.refused

        await self._write_status(stream, turn, outcome)
        return min((seconds for seconds in (heard.again, outcome.again) if seconds is not None), default=None)

    # What it shall be.

    async def _plan(self, stream: Object) -> Plan:
        metadata = stream["metadata"]
        namespace, reference = metadata["namespace"], stream["spec"].get("streamKey", {}).get("secretRef")
        own = None if reference is None else await self._secrets.read(namespace, reference["name"])
        made = draft(
            stream,
            self._world.all_classes(),
            root=self._root,
            secret=lambda _namespace, _name: own,
            is_foreign=lambda where, name: self._world.has_foreign_secret(where, name, metadata["name"]),
            built_in=False,
        )
        self._world.work_on_uids(self._world.grants.claim(made.claim))
        return finish(made, self._world.grants.grant(made.ref.uid), default_store=DEFAULT_STORE)

    def _provision(
        self, channel: Channel, plan: Plan, children: Children, status: Object, number: int | None
    ) -> Provision:
        incarnation = Incarnation(channel.uid, number or max(_recorded(status), 1))
        return provide(
            plan,
            incarnation,
            installation=self._installation,
            control=channel.access(incarnation),
            pod=pod_of(children, incarnation),
            service=children.service,
            assets=self._world.assets_of(plan.ref),
            taken=taken_by(status),
            resumes=open_broadcast(status, self._recording(plan, status)),
        )

    # What it was told.

    async def _take_in(
        self, channel: Channel, stream: Object, plan: Plan, children: Children, *, at_once: bool = False
    ) -> Heard:
        journals = self._conversation.told(channel)
        status = own_part(stream.get("status") or {})
        wait = channel.told_at + TELLING_SECONDS - _loop_time()
        if journals and wait > 0 and not at_once:
            return Heard(status, wait)
        outlives = "broadcast" in status and self._outlives_its_pod(plan, status)
        left = None if "broadcast" not in status or outlives else self._left_to(status["broadcast"], children)
        lost = left is not None and left <= 0
        if journals or lost:
            channel.told_at = _loop_time()
        provision = self._provision(channel, plan, children, status, None)
        try:
            status = await self._journals.take_in(stream, plan, provision, journals, lost=lost, now=self._wall())
        except AssetRefused as error:
            # By a quota, for one. What else there is to do must not wait for that: a key may be reset.
            return Heard(error.status, REFUSED_SECONDS, refused(error.why))
        return Heard(status, None if lost else left)

    def _outlives_its_pod(self, plan: Plan, status: Object) -> bool:
        """Of the open broadcast. Its recording knows what it is on, also when the class is another one since."""
        recording = self._recording(plan, status)
        if recording is not None and is_in_object_store(recording):
            return True
        on = (recording or {"metadata": {}})["metadata"].get("labels", {}).get(INCARNATION)
        if on is not None:
            return bool(on == ON_CLAIM)
        # Without its class nobody knows where it records.
        return plan.cls.ingest.volume.persistent_volume_claim is not None or plan.class_name is None

    def _recording(self, plan: Plan, status: Object) -> Object | None:
        """Of the open broadcast."""
        return self._world.assets.get(Key(plan.ref.namespace, status.get("activeAsset", "")))

    def _left_to(self, broadcast: Object, children: Children) -> float | None:
        """For how many seconds the pod of the open broadcast may still tell of it; None: nobody has deleted it."""
        pods = [pod for pod in children.pods if incarnation_number(pod) == broadcast.get("incarnation")]
        if not pods:
            return 0.0
        late = overdue(pods[0], self._wall())
        if late is None:
            return None
        answers = pods[0]["metadata"]["name"] in self._conversation.answering(children)
        return LATE_SECONDS if late > 0 and answers else max(-late, 0.0)

    # Which pod.

    async def _decide(
        self, channel: Channel, plan: Plan, children: Children, status: Object, held: Verdict | None
    ) -> Decision:
        decision = self._decision(channel, plan, children, status, held)
        if decision.step is Step.DRAIN and _is_provisioned(plan):
            await self._conversation.drain(channel, self._current(children) or {})
            decision = self._decision(channel, plan, children, status, held)
        return decision

    def _decision(
        self, channel: Channel, plan: Plan, children: Children, status: Object, held: Verdict | None
    ) -> Decision:
        taken = taken_by(status)
        return decide_incarnation(
            children.pods,
            pod_hash(self._provision(channel, plan, children, status, None)),
            self._conversation.broadcasting(channel, self._current(children), status, taken),
            recorded=_recorded(status),
            answering=self._conversation.answering(children),
            keeps_volume=plan.cls.ingest.volume.persistent_volume_claim is not None,
            has_turn=self._rollout.has_turn(_key(plan), *_rollout_of(plan)),
            held=held,
        )

    def _note(self, key: Key, plan: Plan, children: Children, decision: Decision) -> None:
        """For the turns of others. Whoever has no pod for reasons of its own does not hold them up: what counts is what
        was replaced, and what is as its class says and not Ready.
        """
        if not _is_provisioned(plan):
            self._rollout.forget(key)
            return
        pod, step = self._current(children), decision.step
        down = step in (Step.DRAIN, Step.REPLACE) or decision.reason == VOLUME_IN_USE
        down = down or (step is Step.KEEP and pod is not None and not is_ready(pod))
        down = down or (step is Step.CREATE and self._rollout.is_down(key))
        self._rollout.note(key, *_rollout_of(plan), down=down, waits=decision.reason == ROLLOUT_LIMITED)

    def _current(self, children: Children) -> Object | None:
        return current_pod(children.pods, self._conversation.answering(children))

    # Telling it.

    async def _write_status(self, stream: Object, turn: Turn, outcome: Outcome) -> None:
        plan, status = turn.plan, turn.status
        generation = stream["metadata"]["generation"]
        unheard = outcome.unheard
        if unheard is not None and unheard.holds is None and status.get("observedGeneration") != generation:
            unheard = Verdict(False, unheard.reason, unheard.message)
        if _is_provisioned(plan):
            made = verdicts(
                plan.ready,
                blocked=outcome.blocked,
                under_way=outcome.under_way,
                unheard=unheard,
                update_pending=update_pending(turn.decision, also=outcome.pending),
            )
            status = _provisioned_status(status, plan, turn, generation)
            if outcome.stands:
                status["incarnation"] = turn.provision.incarnation.number
        else:
            made, status = verdicts(plan.ready), unprovisioned_status(status, plan, generation=generation)
        conditions = status.get("conditions", [])
        status["conditions"] = with_verdicts(conditions, made, generation=generation, now=self._wall())
        try:
            await self._writer.write_status(LIVE_STREAMS, stream, status)
        except NotFound:
            return  # deleted meanwhile: its event is on the way
        self._conversation.taken(turn.channel, taken_by(status))

    def _channel(self, key: Key, uid: str) -> Channel:
        known = self._channels.get(key)
        if known is not None and known.uid != uid:
            self._forget(key)
        return self._channels.setdefault(key, Channel(uid, self._root))

    def _forget(self, key: Key) -> None:
        self._rollout.forget(key)
        channel = self._channels.pop(key, None)
        if channel is not None:
            self._conversation.leave(channel)


def _is_provisioned(plan: Plan) -> bool:
    return plan.ready.reason not in NOT_PROVISIONED


def _key(plan: Plan) -> Key:
    return Key(plan.ref.namespace, plan.ref.name)


def _rollout_of(plan: Plan) -> tuple[str, int]:
    """The class, and how much of it may be down."""
    return plan.class_name or "", plan.cls.ingest.rollout.max_unavailable_percent


def _provisioned_status(status: Object, plan: Plan, turn: Turn, generation: int) -> Object:
    provision = turn.provision
    addresses = ingest_addresses(provision)
    # A pod that is still as the class was before has a certificate if it had one then.
    secure = not turn.decision.update_pending or "rtmps" in status.get("ingest", {})
    ingest = {
        "rtmp": addresses.rtmp,
        "rtmps": addresses.rtmps if secure else None,
        "service": addresses.service,
    }
    return configured_status(
        status,
        plan,
        generation=generation,
        ingest={name: address for name, address in ingest.items() if address is not None},
        playback_url=lambda playback_id: playback_url(provision, playback_id),
    )


def _recorded(status: Object) -> int:
    return int(status.get("incarnation") or 0)


def _to_complete(stream: Object, status: Object) -> str | None:
    """The open broadcast, if it is the one that somebody has asked to end."""
    wanted: str | None = stream["metadata"].get("annotations", {}).get(COMPLETE)
    return wanted if wanted is not None and wanted == (status.get("broadcast") or {}).get("id") else None


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
