"""What a stream's ingest pods have told, taken into its Assets; its status follows.

Assets come first, then status with the cursor. A process that is killed in between takes the same events in again,
which makes the same of the Assets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from onair_core.contract import JournalEvent, StoreSettings
from onair_core.kube.errors import REFUSALS, ApiError, KubeError
from onair_core.kube.resources import ASSETS
from onair_core.kube.store import Key
from onair_operator.apply.writer import Writer
from onair_operator.decide.assets import ON_CLAIM, with_readiness
from onair_operator.decide.plan import Plan
from onair_operator.decide.readiness import own_part
from onair_operator.decide.told import Told, end_of_lost, take_in
from onair_operator.desired.addresses import playback_url
from onair_operator.desired.asset import asset_object
from onair_operator.desired.channel import reconnect_window
from onair_operator.desired.labels import INCARNATION, recommended
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.pod import DEFAULT_STORE
from onair_operator.desired.provision import Provision
from onair_operator.desired.store import is_object_store
from onair_operator.observe.cache import Cache

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Journal:
    """What one incarnation's pod has told and status may not have yet."""

    incarnation: Incarnation
    events: tuple[JournalEvent, ...]


class AssetRefused(Exception):
    """An Asset could not be written. `status`: that somebody is live, which is known all the same; the rest is taken in
    when the Asset can be.
    """

    def __init__(self, why: ApiError, before: Object, after: Object) -> None:
        super().__init__(str(why))
        self.why = why
        shown = {name: after[name] for name in _SHOWN if name in after}
        self.status = {name: value for name, value in before.items() if name not in _SHOWN} | shown


_SHOWN = ("phase", "connected", "broadcast")


class Journals:
    """Of all streams."""

    def __init__(self, writer: Writer, assets: Cache, root: bytes) -> None:
        self._writer = writer
        self._assets = assets
        self._root = root

    async def take_in(
        self, stream: Object, plan: Plan, provision: Provision, journals: Iterable[Journal], *, lost: bool, now: float
    ) -> Object:
        """The stream's status after them. `lost`: the pod of the open broadcast is gone, with its volume; `now`: Unix
        seconds. Raises `AssetRefused`, `KubeError`.
        """
        before = own_part(stream.get("status") or {})
        told = Told(before)
        namespace = stream["metadata"]["namespace"]

        def take(incarnation: Incarnation, events: Iterable[JournalEvent]) -> None:
            take_in(
                told,
                events,
                incarnation=incarnation.number,
                window=float(reconnect_window(plan.spec)),
                disabled=plan.spec.disabled,
                asset=lambda name: self._assets.get(Key(namespace, name)),
                new_asset=lambda event: self._new(stream, provision, incarnation, event),
            )

        for journal in sorted(journals, key=lambda each: each.incarnation.number):
            take(journal.incarnation, journal.events)
        if lost and (broadcast := told.status.get("broadcast")):
            take(Incarnation(plan.ref.uid, broadcast.get("incarnation", 0)), end_of_lost(told.status, now))
        try:
            for name, asset in told.assets.items():
                await self._write(asset, new=name in told.made, now=now)
        except REFUSALS as error:
            raise AssetRefused(error, before, told.status) from error
        return told.status

    def _new(self, stream: Object, provision: Provision, incarnation: Incarnation, event: JournalEvent) -> Object:
        store = provision.config.channel.asset.store or StoreSettings(url=DEFAULT_STORE)
        on_claim = provision.cls.ingest.volume.persistent_volume_claim is not None
        labels = recommended(provision.stream)
        if not is_object_store(store.url):
            labels[INCARNATION] = ON_CLAIM if on_claim else incarnation.suffix
        return asset_object(
            stream,
            event,
            root=self._root,
            store=store,
            labels=labels,
            playback_url=lambda playback_id: playback_url(provision, playback_id),
        )

    async def _write(self, asset: Object, *, new: bool, now: float) -> None:
        live: Object | None = self._assets.get(Key(asset["metadata"]["namespace"], asset["metadata"]["name"]))
        if new:
            bare = {name: part for name, part in asset.items() if name != "status"}
            live = await self._writer.create(ASSETS, bare) or live
        if live is None:
            raise KubeError(f"Asset {asset['metadata']['name']} is there, and not known yet")
        await self._writer.write_status(ASSETS, live, with_readiness(live, asset["status"], now))
