"""The webhook part of `onair local`'s control plane, with files, a deliverer and a channel host as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from webhook_receivers import Clock, Receiver

from onair_core.contract import EventType
from onair_core.local_state import LocalState
from onair_media.ingest.host import ChannelHost
from onair_operator.eventlog import FileEventLogs
from onair_operator.local.addresses import Addresses
from onair_operator.local.control import Control
from onair_operator.webhooks import Deliverer, Environment, OutboundPolicy

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: sec}\nstringData: {KEY: receiver-secret}\n"
STREAM = "apiVersion: onair.dev/v1alpha1\nkind: LiveStream\nmetadata: {name: NAME}\nspec: {title: TITLE}\n"
ENDPOINT = """\
apiVersion: onair.dev/v1alpha1
kind: WebhookEndpoint
metadata: {name: hook}
spec: {url: 'URL', secretRef: {name: sec}}
"""


class Local:
    """One process of `onair local` without its sockets."""

    def __init__(self, folder: Path, host: ChannelHost) -> None:
        self.manifests = folder / "manifests"
        self.logs = FileEventLogs(folder / "state" / "eventlogs")
        self.host = host
        self.deliverer = Deliverer(
            self.logs,
            policy=OutboundPolicy(allow_loopback=True),
            environment=Environment("local", "OnAir local"),
            clock=Clock(),
        )
        self.control = Control(
            LocalState(folder / "state"),
            [self.manifests],
            root=bytes(32),
            addresses=Addresses("a", 1, "b", 2),
            host=host,
            logs=self.logs,
            deliverer=self.deliverer,
            report=lambda problems: None,
        )

    async def edit(self, **files: str) -> None:
        for name, text in files.items():
            (self.manifests / f"{name}.yaml").write_text(text, encoding="utf-8")
        await self.control.reconcile()
        await self.deliverer.idle()

    def object(self, kind: str, name: str) -> dict[str, Any]:
        found = self.control.objects.get((kind, "default", name))
        assert found is not None
        return found

    def ready(self) -> tuple[str, str]:
        condition = self.object("WebhookEndpoint", "hook")["status"]["conditions"][0]
        return condition["status"], condition["reason"]


Start = Callable[[], AbstractAsyncContextManager[Local]]


@pytest.fixture
def onair_local(tmp_path: Path) -> Start:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "state" / "objects").mkdir(parents=True)

    @asynccontextmanager
    async def started() -> AsyncIterator[Local]:
        host = ChannelHost(tmp_path / "state" / "ingest", on_journal=lambda ref: None)
        await host.start()
        local = Local(tmp_path, host)
        await local.control.reconcile()
        await local.control.start_endpoints()
        try:
            yield local
        finally:
            await host.stop()
            await local.deliverer.stop()

    return started


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


def stream(name: str = "keynote", title: str = "a") -> str:
    return STREAM.replace("NAME", name).replace("TITLE", title)


async def test_a_secret_that_is_away_for_a_moment_neither_loses_nor_repeats_webhooks(
    onair_local: Start, receiver: Receiver
) -> None:
    async with onair_local() as local:
        await local.edit(
            hook=ENDPOINT.replace("URL", receiver.url), sec=SECRET.replace("KEY", "secret"), keynote=stream()
        )
        await local.edit(sec=SECRET.replace("KEY", "renamed"), keynote=stream(title="b"))
        assert local.ready() == ("False", "SecretMissing")
        assert receiver.sequences() == [1]
        await local.edit(sec=SECRET.replace("KEY", "secret"))
        assert local.ready()[0] == "True"
    assert receiver.sequences() == [1, 2]
    assert not receiver.problems


async def test_a_late_report_does_not_make_an_endpoint_without_a_secret_ready(
    onair_local: Start, receiver: Receiver
) -> None:
    async with onair_local() as local:
        await local.edit(hook=ENDPOINT.replace("URL", receiver.url))
        local.control.endpoint_fared(local.object("WebhookEndpoint", "hook")["metadata"]["uid"])
        await local.control.take_in()
        assert local.ready() == ("False", "SecretMissing")


async def test_a_damaged_event_log_costs_neither_the_process_nor_other_streams(
    onair_local: Start, receiver: Receiver
) -> None:
    async with onair_local() as local:
        await local.edit(
            hook=ENDPOINT.replace("URL", receiver.url),
            sec=SECRET.replace("KEY", "secret"),
            keynote=stream(),
            panel=stream("panel"),
        )
        uid = local.object("LiveStream", "keynote")["metadata"]["uid"]
        local.logs.path(uid).write_bytes(b"")
        await local.edit(keynote=stream(title="b"), panel=stream("panel", title="b"))
        assert receiver.sequences("panel") == [1, 2]
    keynote = [w for w in receiver.accepted if w["data"]["onair"]["name"] == "keynote"]
    assert [w["type"] for w in keynote] == [
        EventType.STREAM_CREATED,
        EventType.STREAM_WARNING,
        EventType.STREAM_UPDATED,
    ]
    assert keynote[1]["data"]["warning"]["type"] == "event_log_damaged"
    numbers = receiver.sequences()
    assert numbers == sorted(set(numbers))


async def test_a_damaged_event_log_is_made_anew_at_the_next_start(onair_local: Start, receiver: Receiver) -> None:
    async with onair_local() as local:
        await local.edit(
            hook=ENDPOINT.replace("URL", receiver.url), sec=SECRET.replace("KEY", "secret"), keynote=stream()
        )
        path = local.logs.path(local.object("LiveStream", "keynote")["metadata"]["uid"])
    path.write_bytes(b"{")
    async with onair_local() as local:
        await local.deliverer.idle()
    assert [w["type"] for w in receiver.accepted] == [EventType.STREAM_CREATED, EventType.STREAM_WARNING]
    assert path.with_suffix(".damaged").read_bytes() == b"{"
