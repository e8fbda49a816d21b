"""The Assets of `onair local`: made for each broadcast, kept with their status, played by their own IDs."""

from __future__ import annotations

from onair_core.contract import JournalEvent, StoreSettings
from onair_media.ingest.host import ChannelHost
from onair_media.recording import Recording
from onair_media.store import StoreError
from onair_operator.decide.conditions import with_condition
from onair_operator.decide.plan import Plan
from onair_operator.decide.status import asset_ready
from onair_operator.decide.times import timestamp
from onair_operator.desired.asset import asset_object
from onair_operator.local.addresses import Addresses
from onair_operator.local.bookkeeping import Object
from onair_operator.local.objects import Objects, identity_of


class Assets:
    """`default_store` is the URL of the store of classes that name none."""

    def __init__(
        self, objects: Objects, host: ChannelHost, *, root: bytes, addresses: Addresses, default_store: str
    ) -> None:
        self._objects = objects
        self._host = host
        self._root = root
        self._addresses = addresses
        self._default_store = default_store

    def new(self, stream: Object, event: JournalEvent, made: Plan | None) -> Object:
        """The Asset of a broadcast that begins. `made`: the stream's plan."""
        store = made.config.asset.store if made else None
        asset = asset_object(
            stream,
            event,
            root=self._root,
            store=store or StoreSettings(url=self._default_store),
            labels=stream["metadata"].get("labels", {}),
            playback_url=lambda playback_id: self._addresses.playback(playback_id, made.cls if made else None),
        )
        asset["metadata"]["creationTimestamp"] = timestamp(event.at)
        return asset

    async def write(self, asset: Object, now: float) -> None:
        """Keeps an Asset with its status, and plays it by its IDs. Raises `StoreError`, with all that kept."""
        found = self._objects.get(identity_of(asset))
        if found is None:
            bare = {name: part for name, part in asset.items() if name != "status"}
            created = bare["metadata"].pop("creationTimestamp", None)
            await self._objects.apply(bare, now)
            found = self._objects.get(identity_of(asset)) or asset
            found["metadata"]["creationTimestamp"] = created or found["metadata"]["creationTimestamp"]
        found["status"] = asset["status"]
        await self.serve(found, now)

    async def serve(self, asset: Object, now: float) -> None:
        """Plays an Asset by its IDs, and keeps its status. Raises `StoreError`, which status tells, too."""
        status, spec, generation = asset.get("status", {}), asset["spec"], asset["metadata"]["generation"]
        ids = {entry["id"] for entry in status.get("playback", [])}
        failure: StoreError | None = None
        try:
            self._host.set_asset(asset["metadata"]["name"], spec["store"]["url"], ids, spec.get("title", ""))
        except StoreError as error:
            failure = error
        ready = asset_ready(status, store_problem=None if failure is None else str(failure))
        conditions = with_condition(status.get("conditions", []), "Ready", ready, generation=generation, now=now)
        asset["status"] = {**status, "observedGeneration": generation, "conditions": conditions}
        await self._objects.update(asset)
        if failure is not None:
            raise failure

    async def note_finished(self, recording: Recording) -> None:
        """What the recording came to in the store: the last word on its duration."""
        asset = self._objects.get(("Asset", recording.origin.namespace, recording.id))
        if asset is None:
            return
        asset["status"] = {
            **asset.get("status", {}),
            "duration": round(recording.duration, 3),
            "recordingTimes": [
                {"startedAt": timestamp(time.started_at), "duration": time.duration} for time in recording.times
            ],
        }
        if not recording.segments:
            asset["status"] |= {"state": "Errored", "error": "Nothing of it was recorded."}
        await self._objects.update(asset)
