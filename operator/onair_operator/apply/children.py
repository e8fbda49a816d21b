"""The children of one LiveStream, made what they should be, in the order in which they need each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onair_core.kube.resources import NETWORK_POLICIES, PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS, SERVICES
from onair_operator.apply.writer import CONTENT_HASH, Writer
from onair_operator.desired.hashing import stable_hash
from onair_operator.desired.naming import certificate_secret_name, pod_name, store_secret_name
from onair_operator.desired.networkpolicy import network_policy
from onair_operator.desired.pod import pod
from onair_operator.desired.provision import Provision
from onair_operator.desired.secrets import certificate_secret, pod_secret, store_secret, stream_key_secret
from onair_operator.desired.service import service
from onair_operator.desired.volume import volume_claim
from onair_operator.observe.world import Children

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Copied:
    """Secrets of the class that are copied for its streams; None: what is there stays."""

    certificate: Object | None = None
    credentials: Object | None = None


async def apply_children(writer: Writer, provision: Provision, copied: Copied, *, but_service: bool = False) -> None:
    """Everything but the pod. `but_service`: that stays as it is, too.

    Raises `NotOurs`, `StillLeaving`, `KubeError`.
    """
    secrets = [stream_key_secret(provision), pod_secret(provision)]
    if copied.certificate is not None:
        secrets.append(certificate_secret(provision, copied.certificate))
    if copied.credentials is not None:
        secrets.append(store_secret(provision, copied.credentials))
    for secret in secrets:
        if secret is not None:
            await writer.apply(SECRETS, secret)
    if (claim := volume_claim(provision)) is not None:
        # Another size or class is refused for one that exists, and its data is not to be had anew.
        await writer.apply(PERSISTENT_VOLUME_CLAIMS, claim, once=True)
    await writer.apply(NETWORK_POLICIES, network_policy(provision))
    if not but_service:
        await writer.apply(SERVICES, service(provision))


def service_waits(found: Object | None, provision: Provision) -> bool:
    """Whether a live encoder may notice that the Service is to be another one: a load balancer may go, or be made anew.

    Not when another pod is to be reached, nor what somebody else has changed.
    """
    if found is None:
        return False
    wanted, made_from = service(provision), (found["metadata"].get("annotations") or {}).get(CONTENT_HASH)
    same_pod = found["spec"].get("selector") == wanted["spec"]["selector"]
    return same_pod and made_from is not None and made_from != stable_hash(wanted)


async def create_pod(writer: Writer, provision: Provision) -> None:
    """Once: pods are never applied over."""
    await writer.create(PODS, pod(provision))


async def remove_pods(writer: Writer, children: Children, names: tuple[str, ...]) -> None:
    """And those that nobody owns: nothing else would ever end them."""
    for found in children.pods:
        if found["metadata"]["name"] in names:
            await writer.delete(PODS, found)
    for stray in children.strays:
        if "deletionTimestamp" not in stray["metadata"]:
            await writer.delete(PODS, stray)


async def prune(writer: Writer, children: Children, provision: Provision, *, key_secret: str, settled: bool) -> None:
    """Secrets that nothing needs any more: of incarnations whose pods are gone, of a key that is the user's own now.

    `key_secret`: where the stream key is; `settled`: the only pod is as wanted. Claims stay: they have recordings on
    them, and go with the LiveStream.
    """
    name = provision.stream.name
    needed = {found["metadata"]["name"] for found in children.pods} | {pod_name(name, provision.incarnation)}
    needed.add(key_secret)
    if provision.rtmps_secret is not None or not settled:
        needed.add(certificate_secret_name(name))
    if provision.store_secret is not None or not settled:
        needed.add(store_secret_name(name))
    for secret in children.secrets:
        if secret["metadata"]["name"] not in needed:
            await writer.delete(SECRETS, secret)
