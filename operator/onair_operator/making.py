"""The children of one LiveStream and its pod made what they should be, and the pod told what is new.

What the cluster refuses holds up nothing else: a publisher whose key was reset has to go, whatever a quota says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import random
from typing import Any

from onair_core.backoff import Backoff
from onair_core.contract import Cursor, StreamRef
from onair_core.kube.errors import REFUSALS, ApiError
from onair_core.kube.store import Key
from onair_operator.apply.children import Copied, apply_children, create_pod, prune, remove_pods, service_waits
from onair_operator.apply.writer import NotOurs, StillLeaving, Writer
from onair_operator.channel import Channel
from onair_operator.conversation import Conversation
from onair_operator.decide.conditions import Verdict
from onair_operator.decide.incarnation import Decision, Step, incarnation_number
from onair_operator.decide.plan import Plan
from onair_operator.decide.pods import pod_verdict, runs
from onair_operator.desired.addresses import address_pending, exposure
from onair_operator.desired.naming import Incarnation, certificate_secret_name, store_secret_name
from onair_operator.desired.provision import Installation, Provision
from onair_operator.desired.secrets import certificate_problem
from onair_operator.desired.store import credentials_problem
from onair_operator.observe.secrets import SecretReader
from onair_operator.observe.world import Children, World

Object = dict[str, Any]

REFUSED_SECONDS = 30.0
"""At the latest what was refused is asked again."""

# Soon at first: a namespace that is new has no service account yet, and rights may be a moment late.
_REFUSED = Backoff(1.0, REFUSED_SECONDS)
_NOT_ANSWERING = Backoff(5.0, 120.0)
_LEAVING_SECONDS = 2.0
_EXCEEDED = "exceeded quota"
# Of OwnerReferencesPermissionEnforcement (OpenShift has it): it learns of new kinds every ten seconds or so.
_NOT_KNOWN_YET = "cannot find RESTMapping"
_SERVICE_PENDING = Verdict(True, "BroadcastRunning", "The Service is changed when the broadcast has ended.")


@dataclass(frozen=True, slots=True)
class ClassSecrets:
    """Of a class, to be copied; `problem`: one is needed, cannot be had, and there is no copy of it."""

    copied: Copied = field(default_factory=Copied)
    problem: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one reconcile has found out. `status`: after what the pods told; `taken`: what the API server has of it."""

    channel: Channel
    plan: Plan
    provision: Provision
    children: Children
    secrets: ClassSecrets
    decision: Decision
    status: Object
    taken: Cursor


@dataclass(slots=True)
class Outcome:
    """What came of making the children. `stands`: they are made, its pod among them; `again`: seconds after which to
    look again.
    """

    stands: bool = False
    blocked: Verdict | None = None
    under_way: Verdict | None = None
    unheard: Verdict | None = None
    pending: Verdict | None = None
    again: float | None = None


class Maker:
    """Of all streams."""

    def __init__(
        self,
        world: World,
        writer: Writer,
        conversation: Conversation,
        secrets: SecretReader,
        installation: Installation,
    ) -> None:
        self._world = world
        self._writer = writer
        self._conversation = conversation
        self._secrets = secrets
        self._installation = installation

    async def make(self, turn: Turn) -> Outcome:
        """Raises `KubeError` where it is unknown what the API server makes of it."""
        outcome = await self._make_children(turn)
        provision, decision, channel = turn.provision, turn.decision, turn.channel
        now = self._world.children_of(provision.stream)
        pod = pod_of(now, provision.incarnation)
        if outcome.blocked is None and outcome.under_way is None:
            outcome.under_way = _under_way(decision, pod, provision, now.service)
        # A pod that is to end stays drained.
        stays = decision.current is not None and decision.step in (Step.KEEP, Step.WAIT)
        if stays and pod is not None and runs(pod):
            outcome.unheard = await self._conversation.configure(channel, pod, provision.config, turn.taken)
        if outcome.unheard is None and decision.step is not Step.DRAIN:
            channel.unanswered = 0
        else:
            # Each try may take a worker for as long as a pod may take to answer; whoever connects is news at once.
            channel.unanswered += 1
            outcome.again = _NOT_ANSWERING.delay(channel.unanswered, random())  # noqa: S311 - spreads load
        if exposure(provision.cls, now.service) != provision.exposed:
            outcome.again = 0.0  # what the API server answered is no news to anybody, and addresses come from it
        return outcome

    async def _make_children(self, turn: Turn) -> Outcome:
        provision, children, decision = turn.provision, turn.children, turn.decision
        problem = turn.secrets.problem
        if problem is not None and (decision.create or decision.step in (Step.DRAIN, Step.REPLACE)):
            return Outcome(blocked=problem)
        waits = "broadcast" in turn.status and service_waits(children.service, provision)
        try:
            await apply_children(self._writer, provision, turn.secrets.copied, but_service=waits)
            await remove_pods(self._writer, children, decision.remove)
            if decision.create:
                await create_pod(self._writer, provision)
            settled = decision.step is Step.KEEP
            await prune(self._writer, children, provision, key_secret=turn.plan.key_secret[0], settled=settled)
        except NotOurs as error:
            return Outcome(blocked=Verdict(False, "ConflictingObject", str(error)), again=_again(turn.channel))
        except StillLeaving as error:
            return Outcome(under_way=Verdict(False, "WaitingForDeletion", str(error)), again=_LEAVING_SECONDS)
        except REFUSALS as error:
            if _NOT_KNOWN_YET in error.message:
                return Outcome(under_way=refused(error), again=_LEAVING_SECONDS)
            again = _again(turn.channel)
            if _EXCEEDED in error.message and _is_stopping(self._world.children_of(provision.stream)):
                # A pod that has been replaced counts until it is gone; its end is an event.
                return Outcome(under_way=refused(error), again=again)
            return Outcome(blocked=refused(error), again=again)
        turn.channel.refused = 0
        return Outcome(stands=True, pending=_SERVICE_PENDING if waits else problem)

    async def class_secrets(self, plan: Plan) -> ClassSecrets:
        """One that has gone missing is told by the class, not by streams that have a copy. Raises `KubeError`."""
        tls, store, stream = plan.cls.ingest.tls, plan.cls.store, plan.ref
        certificate = credentials = None
        if tls is not None:
            source = await self._secrets.read(self._installation.namespace, tls.secret_name)
            problem = certificate_problem(source, tls.secret_name)
            if problem is None:
                certificate = source
            elif not self._has_copy(stream, certificate_secret_name(stream.name)):
                message = f"The class's certificate for RTMPS: {problem}"
                return ClassSecrets(problem=Verdict(False, "CertificateMissing", message))
        if store is not None and store.secret_ref is not None:
            source = await self._secrets.read(self._installation.namespace, store.secret_ref.name)
            problem = credentials_problem(source, store.secret_ref.name)
            if problem is None:
                credentials = source
            elif not self._has_copy(stream, store_secret_name(stream.name)):
                message = f"The class's credentials for its store: {problem}"
                return ClassSecrets(problem=Verdict(False, "StoreCredentialsMissing", message))
        return ClassSecrets(Copied(certificate, credentials))

    def _has_copy(self, stream: StreamRef, name: str) -> bool:
        return self._world.secrets.get(Key(stream.namespace, name)) is not None


def refused(error: ApiError) -> Verdict:
    """Why something is not as it should be: the API server says what is wrong with it."""
    return Verdict(False, "Refused", error.message)


def pod_of(children: Children, incarnation: Incarnation) -> Object | None:
    """The pod of that incarnation."""
    return next((pod for pod in children.pods if incarnation_number(pod) == incarnation.number), None)


def _under_way(decision: Decision, pod: Object | None, provision: Provision, service: Object | None) -> Verdict | None:
    if decision.current is None:
        return Verdict(False, decision.reason, decision.message)
    verdict = pod_verdict(pod)
    if not verdict.holds:
        return verdict
    if address_pending(provision.cls, service):
        return Verdict(False, "AddressPending", "The load balancer of the Service has no address yet.")
    return None


def _again(channel: Channel) -> float:
    channel.refused += 1
    return _REFUSED.delay(channel.refused, random())  # noqa: S311 - spreads load


def _is_stopping(children: Children) -> bool:
    return any("deletionTimestamp" in pod["metadata"] for pod in children.pods)
