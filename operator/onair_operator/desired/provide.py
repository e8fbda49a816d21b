"""A stream's plan, and what there is of it, put together: what its children are made from. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from onair_core.contract import Cursor, OpenBroadcast, PodConfig
from onair_operator.decide.assets import ON_CLAIM, served
from onair_operator.decide.plan import Plan
from onair_operator.desired.addresses import exposure
from onair_operator.desired.naming import Incarnation, certificate_secret_name, store_secret_name
from onair_operator.desired.pod import RESUMES, TAKEN
from onair_operator.desired.provision import ControlAccess, Installation, Provision

Object = dict[str, Any]


def provide(
    plan: Plan,
    incarnation: Incarnation,
    *,
    installation: Installation,
    control: ControlAccess,
    pod: Object | None,
    service: Object | None,
    assets: Iterable[Object],
    taken: Cursor,
    resumes: OpenBroadcast | None,
) -> Provision:
    """`pod` and `service`: as they are. For a pod that is yet to be: `taken`, up to where status has the journals, and
    `resumes`, the broadcast of one that is gone.
    """
    keeps_volume = plan.cls.ingest.volume.persistent_volume_claim is not None
    config = PodConfig(
        channel=plan.config,
        title=plan.spec.title,
        assets=served(assets, ON_CLAIM if keeps_volume else incarnation.suffix),
        limits=plan.cls.limits,
        taken=taken if pod is None else taken_at_its_beginning(pod),
        resumes=resumes if pod is None else _resumed_at_its_beginning(pod),
    )
    return Provision(
        stream=plan.ref,
        cls=plan.cls,
        installation=installation,
        incarnation=incarnation,
        config=config,
        control=control,
        generated_key=plan.generated_key,
        rtmps_secret=certificate_secret_name(plan.ref.name) if plan.cls.ingest.tls is not None else None,
        store_secret=store_secret_name(plan.ref.name) if _has_credentials(plan) else None,
        exposed=exposure(plan.cls, service),
    )


def _resumed_at_its_beginning(pod: Object) -> OpenBroadcast | None:
    text = pod["metadata"].get("annotations", {}).get(RESUMES)
    try:
        return msgspec.json.decode(text, type=OpenBroadcast) if text else None
    except msgspec.MsgspecError:
        return None  # somebody has changed it


def _has_credentials(plan: Plan) -> bool:
    return plan.cls.store is not None and plan.cls.store.secret_ref is not None


def taken_at_its_beginning(pod: Object) -> Cursor:
    """What a pod was told when it was made; nothing, if somebody has changed it."""
    try:
        return Cursor.parse(pod["metadata"].get("annotations", {}).get(TAKEN, ""))
    except ValueError:
        return Cursor()
