"""The control plane of `onair local`: manifests to channels, journals to event log, status and webhooks.

Everything goes in turns: `reconcile` when manifests change, `take_in` when a journal has grown. The order of the
second is the promise: event log, then status, then the journal is acknowledged, then webhooks go out. After
a kill each step goes on from what the one before it has on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import structlog

from onair_core.contract import EventType, JournalEvent, LimitsSpec, StreamRef
from onair_core.local_state import LocalState
from onair_core.manifests import COMPLETE, Problem, Validated, load, validate
from onair_media.ingest.host import ChannelHost
from onair_media.ingest.journal import Journal
from onair_media.recording import Recording
from onair_media.store import StoreError
from onair_operator.decide.classes import class_status, default_limits, store_unavailable
from onair_operator.decide.plan import Plan, stream_ref
from onair_operator.decide.status import asset_status_after, stream_status_after, with_event
from onair_operator.eventlog import FileEventLogs, append_journal, append_own, close, update
from onair_operator.local.addresses import Addresses
from onair_operator.local.assets import Assets
from onair_operator.local.bookkeeping import JOURNAL, OBSERVED, SOURCE, Object, journal_cursor, note, noted
from onair_operator.local.departures import Departures
from onair_operator.local.endpoints import endpoint_status, webhook_endpoint
from onair_operator.local.faults import Faults
from onair_operator.local.news import News, tell_change, tell_kept, tell_key, title
from onair_operator.local.objects import Objects, identity_of
from onair_operator.local.observed import events_of_change, mark
from onair_operator.local.patience import insist
from onair_operator.local.plan import plan, subject_of
from onair_operator.local.restore import append_past, past_snapshots, restorable
from onair_operator.local.secrets import stream_key_secret
from onair_operator.local.stamps import stamp
from onair_operator.local.stores import ClassStores
from onair_operator.local.stream_status import configured
from onair_operator.local.unapplied import unapplied_fields
from onair_operator.webhooks import Deliverer, Endpoint, snapshot

log = structlog.get_logger(__name__)

# Events that a change of the manifests causes are told before what the change itself says, if the disk permits.
SETTLE_SECONDS = 2.0

_KINDS = ("Secret", "LiveStreamClass", "WebhookEndpoint", "LiveStream")
RETRY_SECONDS = 5.0


class Control:
    """`deliverer` and `host` are started and stopped by the caller.

    A turn that the disk refuses raises `OSError`, and may be taken again (`patience.insist`). What goes wrong with one
    object costs that object, and is tried again.
    """

    def __init__(
        self,
        state: LocalState,
        paths: Iterable[Path],
        *,
        root: bytes,
        addresses: Addresses,
        host: ChannelHost,
        logs: FileEventLogs,
        deliverer: Deliverer,
        report: Callable[[list[Problem]], None],
        limit: Callable[[LimitsSpec], None] = lambda _: None,
    ) -> None:
        self.objects = Objects(state)
        self._state = state
        self._paths = list(paths)
        self._root = root
        self._addresses = addresses
        self._host = host
        self._logs = logs
        self._deliverer = deliverer
        self._report = report
        self._limit = limit
        self._default_store = f"file://{(state.folder / 'recordings').resolve()}"
        self.stores = ClassStores(self.objects, host.stores, self._default_store)
        self._assets = Assets(self.objects, host, root=root, addresses=addresses, default_store=self._default_store)
        self._plans: dict[str, Plan] = {}
        self._reported: list[Problem] | None = None
        self._departures = Departures(stamp)
        self._faults = Faults()
        self._news = News()
        self._reconciled_at = 0.0
        self._turn = asyncio.Lock()
        self._grown: dict[str, StreamRef] = {}
        self._finished: dict[str, Recording] = {}
        self._fared: set[str] = set()
        self._wake = asyncio.Event()

    # What wakes it

    def journal_grew(self, ref: StreamRef) -> None:
        self._grown[ref.uid] = ref
        self._wake.set()

    def recording_finished(self, recording: Recording) -> None:
        self._finished[recording.id] = recording
        self._wake.set()

    def endpoint_fared(self, uid: str) -> None:
        self._fared.add(uid)
        self._wake.set()

    async def run(self) -> None:
        """Takes in journals as they grow; runs until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await insist(self.take_in)

    # Manifests

    async def reconcile(self) -> None:
        """Makes everything what the manifests say now."""
        async with self._turn:
            result = await asyncio.to_thread(self._read)
            self._tell_problems(result)
            await self._apply(result)
            self._limit(default_limits(self.objects.all("LiveStreamClass")))
            now = self._host.clock.now()
            # First, so that what the gone ones held is free for others.
            for value in self._departures.look(self._declared(), result, now):
                with self._contained(value, "the removal of "):
                    await self._delete(value)
            # Before the streams: what they tell goes to those that are declared now, signed with what is there now.
            with self._faults.contained("webhook endpoints"):
                await self._set_endpoints()
            await self._configure()
            self._faults.forget_the_rest()
            self._reconciled_at = now

    @property
    def reconcile_is_due(self) -> bool:
        """Whether to `reconcile` although nothing changed."""
        now, again = self._host.clock.now(), self._departures.look_again_at
        return (again is not None and now >= again) or (
            bool(self._faults) and now >= self._reconciled_at + RETRY_SECONDS
        )

    async def start_endpoints(self) -> None:
        """Delivery begins, once everything is known."""
        await self._deliverer.start(await self._endpoints())

    def _read(self) -> Validated:
        return validate(load(self._paths, [self._state.folder.resolve()]), self.objects.get)

    def _tell_problems(self, result: Validated) -> None:
        problems = [*result.problems, *unapplied_fields(result.manifests.values())]
        if problems != self._reported:
            self._reported = problems
            self._report(problems)
            tell_kept(
                value
                for value in self._declared()
                if identity_of(value) in result.broken
                or (identity_of(value) not in result.manifests and noted(value, SOURCE) in result.unreadable)
            )

    async def _apply(self, result: Validated) -> None:
        now = self._host.clock.now()
        for kind in _KINDS:
            for manifest in result.manifests.values():
                if manifest.identity[0] == kind:
                    with self._contained(manifest.value, "the manifest of "):
                        before = self.objects.get(manifest.identity)
                        change = await self.objects.apply(manifest.value, now, manifest.document.source)
                        if self._reconciled_at or before is not None:  # a start does not list what is there
                            tell_change(change, before, self.objects.get(manifest.identity) or manifest.value)

    def _declared(self) -> list[Object]:
        """Everything that can come from manifests; streams first, Secrets last."""
        return [value for kind in reversed(_KINDS) for value in self.objects.all(kind)]

    def _contained(self, value: Object, what: str = "") -> AbstractContextManager[None]:
        """Errors cost this object only. `what` of it is tried, when that is not all of it."""
        return self._faults.contained(f"{what}{title(value)}")

    async def _configure(self) -> None:
        self._plans = {made.ref.uid: made for made in self._plan()}
        for made in self._plans.values():
            with self._contained(made.stream):
                await self._keep_generated_key(made)
                await self._host.configure(made.config, journal_cursor(made.stream))
                self._host.set_title(made.ref, made.spec.title)
        # A journal that cannot be written holds up its own events only: every channel is configured by now.
        settle_by = asyncio.get_running_loop().time() + SETTLE_SECONDS
        for made in self._plans.values():
            with self._contained(made.stream):
                await self._tell_of_stream(made, settle_by)
        for asset in self.objects.all("Asset"):
            with self._contained(asset):
                await self._assets.serve(asset, self._host.clock.now())
        await self._write_class_status()

    async def _tell_of_stream(self, made: Plan, settle_by: float) -> None:
        await self._take_in_stream(made.ref, settle_by=settle_by)
        await self._write_status(made)
        wanted = made.stream["metadata"].get("annotations", {}).get(COMPLETE)
        if wanted:
            self._host.complete(made.ref, wanted)

    async def _write_class_status(self) -> None:
        classes = {value["metadata"]["name"]: value for value in self.objects.all("LiveStreamClass")}
        for name, value in classes.items():
            problem = None
            with self._faults.contained(f"the store of LiveStreamClass {name}"):
                try:
                    await self.stores.check(value)
                except StoreError as error:
                    problem = store_unavailable(str(error))
                    raise
            with self._contained(value):
                now = self._host.clock.now()
                value["status"] = class_status(value, classes, problem=problem, now=now)
                await self.objects.update(value)

    def _plan(self) -> list[Plan]:
        classes = {value["metadata"]["name"]: value for value in self.objects.all("LiveStreamClass")}
        asset_ids = {
            entry["id"]: f"Asset {asset['metadata']['name']}"
            for asset in self.objects.all("Asset")
            for entry in asset.get("status", {}).get("playback", [])
        }
        return plan(
            self.objects.all("LiveStream"),
            classes,
            root=self._root,
            secret=lambda namespace, name: self.objects.get(("Secret", namespace, name)),
            asset_ids=asset_ids,
            default_store=self._default_store,
            contained=lambda stream: self._faults.contained(f"the plan of LiveStream {stream}"),
        )

    async def _keep_generated_key(self, made: Plan) -> None:
        if made.generated_key is not None:
            await self.objects.apply(stream_key_secret(made.stream, made.generated_key), self._host.clock.now())

    async def _write_status(self, made: Plan) -> None:
        """Status that follows from configuration, and the events that a change of it causes."""
        stream = self.objects.get(identity_of(made.stream))
        if stream is None:
            return
        now = self._host.clock.now()
        status = configured(stream, made, self._addresses, now)
        logged = await self._logs.load(made.ref.uid)
        told = events_of_change(stream, status["playback"], logged.log.entries if logged else ())
        for event, _ in told:
            status = with_event(status, event, now)
        stream["status"] = status
        note(stream, OBSERVED, mark(stream["spec"]))
        tell_key(stream, made.key_fingerprint)
        self._news.ready(stream, now)
        if told:
            await self._append_own(stream, told, now)
        await self.objects.update(stream)
        if told:
            self._deliverer.wake(made.ref.uid)

    async def _append_own(self, stream: Object, told: list[tuple[EventType, str]], now: float) -> None:
        subject = subject_of(stream)
        for event, key in told:
            made = snapshot(event, stream=stream)
            await update(
                self._logs,
                subject,
                lambda log, e=event, k=key, s=made: append_own(log, e, k, s, at=now),  # type: ignore[misc]
            )

    async def _delete(self, value: Object) -> None:
        if value["kind"] != "LiveStream":
            await self.objects.delete(identity_of(value))
            log.info("removed", object=title(value))
            return
        ref = stream_ref(value)
        self._host.remove(ref)
        await self._take_in_stream(ref, settle_by=asyncio.get_running_loop().time() + SETTLE_SECONDS)
        value = self.objects.get(identity_of(value)) or value
        now = self._host.clock.now()
        await self._append_own(value, [(EventType.STREAM_DELETED, "deleted")], now)
        await update(self._logs, subject_of(value), close)
        self._deliverer.wake(ref.uid)
        secret = stream_key_secret(value, "")
        generated = self.objects.get(identity_of(secret))
        if generated is not None and noted(generated, SOURCE) is None:
            await self.objects.delete(identity_of(secret))
        # The stream last: a process that is killed before that does all of this again.
        await self.objects.delete(identity_of(value))
        self._host.forget(ref)
        self._plans.pop(ref.uid, None)
        log.info("removed", object=title(value))

    # Journals

    async def take_in(self) -> None:
        """Takes in what journals have, and what recordings became."""
        async with self._turn:
            grown, self._grown = self._grown, {}
            finished, self._finished = self._finished, {}
            fared, self._fared = self._fared, set()
            try:
                for ref in grown.values():
                    with self._faults.contained(f"LiveStream {ref}"):
                        await self._take_in_stream(ref)
                for recording in finished.values():
                    with self._faults.contained(f"Asset {recording.origin.namespace}/{recording.id}"):
                        await self._assets.note_finished(recording)
                for uid in fared:
                    await self._write_endpoint_status(uid)
            except BaseException:
                self._grown = grown | self._grown
                self._finished = finished | self._finished
                self._fared |= fared
                raise

    async def _take_in_stream(self, ref: StreamRef, *, settle_by: float | None = None) -> None:
        """`settle_by`: until that time of the loop, what is not durable yet is waited for."""
        channel = self._host.channel(ref)
        stream = self.objects.get(("LiveStream", ref.namespace, ref.name))
        if channel is None or stream is None or stream["metadata"]["uid"] != ref.uid:
            return
        if settle_by is not None:
            await channel.journal.settled(max(0.0, settle_by - asyncio.get_running_loop().time()))
        await self._restore_log(stream, channel.journal)
        events = channel.journal.after(*journal_cursor(stream))
        if not events:
            return
        assets: dict[str, Object] = {}
        snapshots = {}
        for event in events:
            stream = self._after(stream, assets, event)
            asset = assets.get(event.broadcast.id) if event.broadcast else None
            snapshots[event.epoch, event.n] = snapshot(event.type, stream=stream, asset=asset, event=event)
        now = self._host.clock.now()
        stored = await update(
            self._logs,
            subject_of(stream),
            lambda log: append_journal(log, events, lambda e: snapshots[e.epoch, e.n], now=now),
        )
        for asset in assets.values():
            try:
                await self._assets.write(asset, now)
            except StoreError as error:
                self._faults.note(f"Asset {ref.namespace}/{asset['metadata']['name']}", str(error))
        last = events[-1]
        note(stream, JOURNAL, f"{last.epoch}.{last.n}")
        await self.objects.update(stream)
        channel.journal.acknowledge(stored.journal.epoch, stored.journal.n)
        self._deliverer.wake(ref.uid)

    async def _restore_log(self, stream: Object, journal: Journal) -> None:
        """Before anything is added to it: a log that was lost gets back what the journal still has of it."""
        subject = subject_of(stream)
        if await self._logs.load(subject.uid) is None and await self._logs.lost(subject.uid):
            past = restorable(await asyncio.to_thread(journal.recorded), journal_cursor(stream), self._host.clock.now())
            shown = past_snapshots(stream, past, self._after)
            await update(self._logs, subject, lambda log: append_past(log, shown))

    def _after(self, stream: Object, assets: dict[str, Object], event: JournalEvent) -> Object:
        """The stream right after an event; `assets` gets the asset that it is about."""
        made = self._plans.get(stream["metadata"]["uid"])
        status = stream.get("status", {})
        window = float(status.get("reconnectWindowSeconds", 0))
        disabled = bool(stream["spec"].get("disabled"))
        if event.broadcast is not None and event.broadcast.id not in assets:
            name = event.broadcast.id
            found = self.objects.get(("Asset", stream["metadata"]["namespace"], name))
            if found is None and event.type.startswith("video.asset."):
                found = self._assets.new(stream, event, made)
            if found is not None:
                assets[name] = found
        if event.broadcast is not None and event.broadcast.id in assets:
            asset = assets[event.broadcast.id]
            asset["status"] = asset_status_after(asset.get("status", {}), event)
        return {**stream, "status": stream_status_after(status, event, window=window, disabled=disabled)}

    # Webhooks

    async def _set_endpoints(self) -> None:
        await self._deliverer.set_endpoints(await self._endpoints())

    async def _endpoints(self) -> list[Endpoint]:
        """Those without a secret, too: an endpoint that is left out is gone, and with it what waits for it."""
        namespaces = {stream["metadata"]["namespace"] for stream in self.objects.all("LiveStream")}
        found = [(value, self._endpoint(value)) for value in self.objects.all("WebhookEndpoint")]
        for value, endpoint in found:
            self._news.audience(value, namespaces)
            await self._keep_endpoint_status(value, endpoint)
        return [endpoint for _, endpoint in found]

    def _endpoint(self, value: Object) -> Endpoint:
        reference = value["spec"]["secretRef"]
        secret = self.objects.get(("Secret", value["metadata"]["namespace"], reference["name"]))
        return webhook_endpoint(value, secret)

    async def _write_endpoint_status(self, uid: str) -> None:
        """How an endpoint fares, into its status."""
        for value in self.objects.all("WebhookEndpoint"):
            if value["metadata"]["uid"] == uid:
                await self._keep_endpoint_status(value, self._endpoint(value))

    async def _keep_endpoint_status(self, value: Object, endpoint: Endpoint) -> None:
        fares = None
        with contextlib.suppress(KeyError):
            fares = self._deliverer.status(endpoint.uid)
        now = self._host.clock.now()
        value["status"] = endpoint_status(value, endpoint, fares, now=now)
        self._news.ready(value, now)
        await self.objects.update(value)

    # Requests

    async def complete(self, namespace: str, name: str, broadcast_id: str) -> None:
        """`onair complete`: the annotation stays, and acts once."""
        stream = self.objects.get(("LiveStream", namespace, name))
        if stream is None:
            return
        self._host.complete(stream_ref(stream), broadcast_id)
        async with self._turn:
            stream = self.objects.get(("LiveStream", namespace, name))
            if stream is not None:
                stream["metadata"].setdefault("annotations", {})[COMPLETE] = broadcast_id
                await self.objects.update(stream)
