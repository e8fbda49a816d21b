"""Delivery to real receivers: order, retries, restarts, endpoints that come, go and wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from prometheus_client import REGISTRY
from webhook_receivers import Clock, Receiver, broken, ok, say, subject

from onair_core.contract import EventType
from onair_operator.eventlog import EventLog, FileEventLogs, Limits, close, update
from onair_operator.webhooks import (
    Deliverer,
    DeliverySettings,
    Endpoint,
    Environment,
    LabelSelector,
    OutboundPolicy,
)

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> FileEventLogs:
    return FileEventLogs(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def second_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver(b"another-secret")
    await receiver.start()
    yield receiver
    await receiver.stop()


@asynccontextmanager
async def delivering(
    store: FileEventLogs,
    clock: Clock,
    *endpoints: Endpoint,
    settings: DeliverySettings | None = None,
    grace: float = 6.0,
) -> AsyncIterator[Deliverer]:
    deliverer = Deliverer(
        store,
        policy=OutboundPolicy(allow_loopback=True),
        environment=Environment("test", "Test"),
        settings=settings,
        clock=clock,
        random=lambda: 0.5,
    )
    await deliverer.start(endpoints)
    try:
        yield deliverer
    finally:
        await deliverer.stop(grace)


async def told(deliverer: Deliverer, uids: Iterable[str] | str) -> None:
    for uid in [uids] if isinstance(uids, str) else uids:
        deliverer.wake(uid)
    await deliverer.idle()


async def log_of(store: FileEventLogs, uid: str) -> EventLog:
    stored = await store.load(uid)
    assert stored is not None
    return stored.log


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_events_arrive_signed_and_in_order(store: FileEventLogs, clock: Clock, receiver: Receiver) -> None:
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await told(deliverer, await say(store, clock, "1", "2", "3"))
        await told(deliverer, await say(store, clock, "4", "5"))
    assert receiver.sequences() == [1, 2, 3, 4, 5]
    assert not receiver.problems
    assert all(webhook["attempts"] == [] for webhook in receiver.seen)


async def test_a_retry_has_the_same_id_shows_earlier_tries_and_keeps_the_order(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await told(deliverer, await say(store, clock, "1", "2"))
        clock.advance(5)
        await deliverer.idle()
        receiver.answer = ok
        clock.advance(15)
        await deliverer.idle()
    first = [webhook for webhook in receiver.seen if webhook["data"]["onair"]["sequence"] == 1]
    assert len({webhook["id"] for webhook in first}) == 1
    assert [len(webhook["attempts"]) for webhook in first] == [0, 1, 2]
    assert first[2]["attempts"][0]["response_status_code"] == 500
    assert first[2]["attempts"][0]["response_body"] == "out of order"
    assert receiver.sequences() == [1, 2]


async def test_a_failing_stream_holds_up_neither_other_streams_nor_other_endpoints(
    store: FileEventLogs, clock: Clock, receiver: Receiver, second_receiver: Receiver
) -> None:
    async def picky(webhook: dict[str, Any]) -> web.Response:
        return await (broken if webhook["data"]["onair"]["name"] == "keynote" else ok)(webhook)

    receiver.answer = picky
    async with delivering(store, clock, receiver.endpoint("a"), second_receiver.endpoint("b")) as deliverer:
        keynote = await say(store, clock, "1", "2")
        panel = await say(store, clock, "1", "2", name="panel")
        await told(deliverer, [keynote, panel])
        assert receiver.sequences("keynote") == []
        assert receiver.sequences("panel") == [1, 2]
        assert second_receiver.sequences("keynote") == second_receiver.sequences("panel") == [1, 2]
        assert deliverer.status("a").pending == 2
        assert deliverer.status("b").pending == 0


async def test_a_new_process_goes_on_where_the_last_one_stopped(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await told(deliverer, await say(store, clock, "1", "2"))
    receiver.answer = ok
    clock.advance(100)
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await deliverer.idle()
    assert receiver.sequences() == [1, 2]
    assert receiver.accepted[0]["id"] == receiver.seen[0]["id"]
    assert len(receiver.accepted[0]["attempts"]) == 1


async def test_a_new_process_keeps_to_the_delay_and_knows_the_last_failure(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await told(deliverer, await say(store, clock, "1"))
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await deliverer.idle()
        assert len(receiver.seen) == 1
        failure = deliverer.status("hook").last_failure
        assert failure is not None
        assert (failure.code, failure.excerpt) == (500, "out of order")


class Unsaved(FileEventLogs):
    """A store whose process dies, or whose disk is full, when it should save."""

    error: Exception | None = None

    async def save(self, log: EventLog, expected_version: str | None) -> str:
        if self.error is not None:
            raise self.error
        return await super().save(log, expected_version)


async def test_a_crash_before_the_outcome_is_stored_repeats_the_event_with_its_id(
    tmp_path: Path, clock: Clock, receiver: Receiver
) -> None:
    dying = Unsaved(tmp_path)
    async with delivering(dying, clock, receiver.endpoint()) as deliverer:
        uid = await say(dying, clock, "1")
        await told(deliverer, uid)
        await say(dying, clock, "2", "3")

        async def die_then_ok(webhook: dict[str, Any]) -> web.Response:
            dying.error = RuntimeError("killed")
            return await ok(webhook)

        receiver.answer = die_then_ok
        await told(deliverer, uid)
    receiver.answer = ok
    async with delivering(FileEventLogs(tmp_path), clock, receiver.endpoint()) as deliverer:
        await deliverer.idle()
    assert receiver.sequences() == [1, 2, 2, 3]
    assert receiver.accepted[1]["id"] == receiver.accepted[2]["id"]


async def test_a_full_disk_is_waited_for_and_nothing_is_sent_twice(
    tmp_path: Path, clock: Clock, receiver: Receiver
) -> None:
    full = Unsaved(tmp_path)
    async with delivering(full, clock, receiver.endpoint()) as deliverer:
        uid = await say(full, clock, "1")
        await told(deliverer, uid)
        await say(full, clock, "2")
        arrived = asyncio.Event()

        async def fill(webhook: dict[str, Any]) -> web.Response:
            full.error = OSError(28, "No space left on device")
            arrived.set()
            return await ok(webhook)

        receiver.answer = fill
        deliverer.wake(uid)
        await arrived.wait()
        full.error = None
        while (await log_of(full, uid)).cursors["hook"].done < 2:
            clock.advance(1)
            await asyncio.sleep(0.01)
        await deliverer.idle()
    assert receiver.sequences() == [1, 2]


async def test_after_24_hours_an_event_is_given_up_with_a_warning_and_a_metric(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    given_up = metric("onair_webhook_expired_total", namespace="events", endpoint="dead")
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint("dead")) as deliverer:
        uid = await say(store, clock, "1")
        await told(deliverer, uid)
        for _ in range(25):
            clock.advance(3600)
            await deliverer.idle()
        assert metric("onair_webhook_expired_total", namespace="events", endpoint="dead") == given_up + 1
        receiver.answer = ok
        clock.advance(3600)
        await deliverer.idle()
    assert [webhook["type"] for webhook in receiver.accepted] == ["video.live_stream.warning"]
    warning = receiver.accepted[0]["data"]["warning"]
    assert warning["type"] == "webhook_delivery_expired"
    assert "dead" in warning["message"]
    assert "hush" not in warning["message"]


async def test_a_dead_endpoint_does_not_warn_about_its_warnings(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        uid = await say(store, clock, "1")
        await told(deliverer, uid)
        for _ in range(80):
            clock.advance(3600)
            await deliverer.idle()
        assert deliverer.status("hook").pending == 0
    log = await log_of(store, uid)
    assert [entry.type for entry in log.entries] == [EventType.STREAM_UPDATED, EventType.STREAM_WARNING]


async def test_a_new_endpoint_gets_the_events_from_its_creation_on(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    async with delivering(store, clock) as deliverer:
        uid = await say(store, clock, "1", "2")
        await told(deliverer, uid)
        clock.advance(10)
        await deliverer.set_endpoints([receiver.endpoint(created_at=clock.now())])
        await told(deliverer, await say(store, clock, "3"))
    assert receiver.sequences() == [3]


async def test_a_removed_endpoint_is_forgotten(store: FileEventLogs, clock: Clock, receiver: Receiver) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        uid = await say(store, clock, "1")
        await told(deliverer, uid)
        await deliverer.set_endpoints([])
        await deliverer.idle()
        assert (await log_of(store, uid)).cursors == {}
        with pytest.raises(KeyError):
            deliverer.status("hook")
        clock.advance(DAY)
        await deliverer.idle()
    assert len(receiver.seen) == 1


async def test_a_suspended_endpoint_waits_and_then_gets_everything(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    suspended = receiver.endpoint(suspended=True)
    async with delivering(store, clock, suspended) as deliverer:
        uid = await say(store, clock, "1", "2")
        await told(deliverer, uid)
        clock.advance(3 * DAY)
        await deliverer.idle()
        assert not receiver.seen
        assert deliverer.status("hook").pending == 2
        await deliverer.set_endpoints([receiver.endpoint()])
        await deliverer.idle()
        assert deliverer.status("hook").pending == 0
    assert receiver.sequences() == [1, 2]


async def test_a_corrected_endpoint_is_tried_again_at_once(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    wrong = receiver.endpoint(url=receiver.url.replace("/hook", "/nowhere"))
    async with delivering(store, clock, wrong) as deliverer:
        await told(deliverer, await say(store, clock, "1"))
        assert deliverer.status("hook").failures == 1
        await deliverer.set_endpoints([receiver.endpoint()])
        await deliverer.idle()
        assert deliverer.status("hook").failures == 0
    assert receiver.sequences() == [1]


async def corrected_while_it_is_tried(clock: Clock, receiver: Receiver, deliverer: Deliverer) -> None:
    """The endpoint is set right while a try at it as it was hangs; then that try fails."""
    began, go_on = asyncio.Event(), asyncio.Event()

    async def hang(webhook: dict[str, Any]) -> web.Response:
        began.set()
        await go_on.wait()
        receiver.answer = ok
        return await broken(webhook)

    receiver.answer = hang
    clock.advance(3600)
    await began.wait()
    await deliverer.set_endpoints([receiver.endpoint(revision="corrected")])
    go_on.set()
    await deliverer.idle()


async def test_the_late_failure_of_an_endpoint_that_was_corrected_does_not_hold_up_the_corrected_one(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        uid = await say(store, clock, "1")
        await told(deliverer, uid)
        for _ in range(7):
            clock.advance(3600)
            await deliverer.idle()
        await corrected_while_it_is_tried(clock, receiver, deliverer)
        assert receiver.sequences() == [1]
        assert deliverer.status("hook").failures == 0
        assert (await log_of(store, uid)).cursors["hook"].next_at is None


async def test_an_event_is_not_given_up_by_the_last_try_of_an_endpoint_that_was_corrected_meanwhile(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        uid = await say(store, clock, "1")
        await told(deliverer, uid)
        for _ in range(23):
            clock.advance(3600)
            await deliverer.idle()
        await corrected_while_it_is_tried(clock, receiver, deliverer)
    assert receiver.sequences() == [1]
    assert len((await log_of(store, uid)).entries) == 1  # no warning


async def test_an_endpoint_that_was_corrected_while_nothing_ran_is_tried_at_once(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint(revision="1")) as deliverer:
        await told(deliverer, await say(store, clock, "1"))
    receiver.answer = ok
    async with delivering(store, clock, receiver.endpoint(revision="2")) as deliverer:
        await deliverer.idle()
    assert receiver.sequences() == [1]


async def test_what_is_no_longer_wanted_is_not_sent_after_the_wait_for_a_slot(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(webhook: dict[str, Any]) -> web.Response:
        began.set()
        await go_on.wait()
        return await ok(webhook)

    receiver.answer = slow
    settings = DeliverySettings(per_endpoint=1, timeout=60)
    async with delivering(store, clock, receiver.endpoint(), settings=settings) as deliverer:
        deliverer.wake(await say(store, clock, "1"))
        await began.wait()
        deliverer.wake(await say(store, clock, "1", name="panel"))
        while deliverer.status("hook").pending < 2:
            await asyncio.sleep(0)
        await deliverer.set_endpoints([receiver.endpoint(events=("video.live_stream.active",))])
        go_on.set()
        await deliverer.idle()
    assert [webhook["data"]["onair"]["name"] for webhook in receiver.seen] == ["keynote"]


async def test_a_stream_that_was_relabelled_during_the_wait_for_a_retry_is_judged_anew(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    choosy = receiver.endpoint(selector=LabelSelector({"team": "av"}))
    async with delivering(store, clock, choosy) as deliverer:
        await told(deliverer, await say(store, clock, "1", team="av"))
        await update(store, subject(team="stage"), lambda log: log)
        clock.advance(5)
        await deliverer.idle()
    assert len(receiver.seen) == 1


async def test_a_stream_whose_events_fail_is_not_hidden_by_others_that_do_not(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    async def picky(webhook: dict[str, Any]) -> web.Response:
        return await (broken if webhook["data"]["onair"]["name"] == "keynote" else ok)(webhook)

    receiver.answer = picky
    seen: list[int] = []
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        keynote = await say(store, clock, "1")
        await told(deliverer, keynote)
        for n in range(3):
            await told(deliverer, await say(store, clock, str(n), name="panel"))
            seen.append(deliverer.status("hook").failures)
        receiver.answer = ok
        clock.advance(3600)
        await told(deliverer, keynote)
        seen.append(deliverer.status("hook").failures)
    assert seen == [1, 1, 1, 0]


async def test_a_new_process_knows_that_an_endpoint_fails_without_trying_it(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await told(deliverer, await say(store, clock, "1"))
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await deliverer.idle()
        assert deliverer.status("hook").failures == 1


async def test_one_damaged_log_holds_up_no_other(
    store: FileEventLogs, clock: Clock, receiver: Receiver, tmp_path: Path
) -> None:
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        keynote = await say(store, clock, "1")
        await told(deliverer, keynote)
        store.path(keynote).write_bytes(b"")
        panel = await say(store, clock, "1", name="panel")
        await told(deliverer, [keynote, panel])
        assert receiver.sequences("panel") == [1]
        await told(deliverer, await say(store, clock, "1", "2"))
    numbers = receiver.sequences("keynote")
    assert numbers == sorted(numbers)
    ids = [w["id"] for w in receiver.accepted if w["data"]["onair"]["name"] == "keynote"]
    assert ids[0] == ids[1]  # said again, and recognised by its id


async def test_filters_and_selectors_choose_and_others_events_do_not_wait(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    choosy = receiver.endpoint(events=("video.live_stream.active",), selector=LabelSelector({"team": "av"}))
    async with delivering(store, clock, choosy, settings=DeliverySettings(limits=Limits(kept=5))) as deliverer:
        uid = await say(store, clock, "1", "2", team="av")
        await say(store, clock, "3", event_type=EventType.STREAM_ACTIVE, team="av")
        other = await say(store, clock, "1", event_type=EventType.STREAM_ACTIVE, name="panel", team="stage")
        await told(deliverer, [uid, other])
        assert [w["type"] for w in receiver.accepted] == ["video.live_stream.active"]
        await told(deliverer, await say(store, clock, *(f"more-{n}" for n in range(80)), team="av"))
        assert deliverer.status("hook").pending == 0
        assert len((await log_of(store, uid)).entries) <= 5 + 80 - 50  # unwanted events do not pile up
    assert len(receiver.seen) == 1


async def test_endpoints_only_get_events_of_their_own_namespace(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    async with delivering(store, clock, receiver.endpoint(namespace="elsewhere")) as deliverer:
        uid = await say(store, clock, "1")
        await told(deliverer, uid)
    assert not receiver.seen
    assert (await log_of(store, uid)).cursors == {}


async def test_the_log_of_a_gone_subject_is_removed_when_everyone_has_everything(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    receiver.answer = broken
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        uid = await say(store, clock, "1")
        await update(store, subject(), close)
        await told(deliverer, uid)
        assert await store.uids() == [uid]
        receiver.answer = ok
        clock.advance(5)
        await deliverer.idle()
        assert await store.uids() == []
    assert receiver.sequences() == [1]


async def test_tries_at_one_endpoint_are_bounded_and_a_slow_one_does_not_take_all_slots(
    store: FileEventLogs, clock: Clock, receiver: Receiver, second_receiver: Receiver
) -> None:
    go_on = asyncio.Event()

    async def slow(webhook: dict[str, Any]) -> web.Response:
        await go_on.wait()
        return await ok(webhook)

    receiver.answer = slow
    settings = DeliverySettings(per_endpoint=3, overall=6, timeout=60)
    names = [f"stream-{n}" for n in range(10)]
    async with delivering(
        store, clock, receiver.endpoint("slow"), second_receiver.endpoint("quick"), settings=settings
    ) as deliverer:
        for name in names:
            deliverer.wake(await say(store, clock, "1", "2", name=name))
        await second_receiver.accepts(20)
        assert receiver.most_running == 3
        go_on.set()
        await deliverer.idle()
    assert all(receiver.sequences(name) == second_receiver.sequences(name) == [1, 2] for name in names)


async def test_stopping_lets_a_delivery_under_way_finish(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(webhook: dict[str, Any]) -> web.Response:
        began.set()
        await go_on.wait()
        return await ok(webhook)

    receiver.answer = slow
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        uid = await say(store, clock, "1", "2")
        deliverer.wake(uid)
        await began.wait()
        stopping = asyncio.create_task(deliverer.stop())
        await asyncio.sleep(0)
        go_on.set()
        await stopping
    assert (await log_of(store, uid)).cursors["hook"].done == 1
    assert receiver.sequences() == [1]


async def test_a_delivery_that_does_not_finish_is_cut_and_repeated_by_the_next_process(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    began = asyncio.Event()

    async def hang(webhook: dict[str, Any]) -> web.Response:
        began.set()
        await asyncio.sleep(3600)
        return await ok(webhook)

    receiver.answer = hang
    async with delivering(store, clock, receiver.endpoint(), grace=0.05) as deliverer:
        deliverer.wake(await say(store, clock, "1"))
        await began.wait()
    receiver.answer = ok
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await deliverer.idle()
    assert receiver.seen[0]["id"] == receiver.accepted[0]["id"]
    assert receiver.sequences() == [1]


async def test_a_secret_that_is_missing_for_a_while_neither_loses_nor_repeats_anything(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    async with delivering(store, clock, receiver.endpoint()) as deliverer:
        await told(deliverer, await say(store, clock, "1"))
        await deliverer.set_endpoints([receiver.endpoint(secrets=())])
        await told(deliverer, await say(store, clock, "2"))
        clock.advance(3 * DAY)
        await told(deliverer, await say(store, clock, "3"))
        assert (receiver.sequences(), deliverer.status("hook").pending) == ([1], 2)
        await deliverer.set_endpoints([receiver.endpoint()])
        await deliverer.idle()
    assert receiver.sequences() == [1, 2, 3]


async def test_nothing_is_signed_with_an_empty_secret(store: FileEventLogs, clock: Clock, receiver: Receiver) -> None:
    async with delivering(store, clock, receiver.endpoint(secrets=(b"",))) as deliverer:
        await told(deliverer, await say(store, clock, "1"))
        failure = deliverer.status("hook").last_failure
    assert failure is not None
    assert "secret" in failure.problem
    assert not receiver.seen


async def test_a_private_address_is_refused_with_a_reason_for_the_owner(
    store: FileEventLogs, clock: Clock, receiver: Receiver
) -> None:
    async with delivering(store, clock, receiver.endpoint(url="http://169.254.169.254/latest/meta-data")) as deliverer:
        await told(deliverer, await say(store, clock, "1"))
        failure = deliverer.status("hook").last_failure
    assert failure is not None
    assert failure.problem == "its address is link-local, which is not allowed here"


async def test_status_and_metrics_follow(store: FileEventLogs, clock: Clock, receiver: Receiver) -> None:
    changes: list[str] = []
    deliverer = Deliverer(
        store,
        policy=OutboundPolicy(allow_loopback=True),
        environment=Environment("test", "Test"),
        clock=clock,
        on_status=changes.append,
    )
    await deliverer.start([receiver.endpoint("watched")])
    await told(deliverer, await say(store, clock, "1"))
    status = deliverer.status("watched")
    await deliverer.stop()
    assert (status.last_success_at, status.last_failure, status.pending) == (clock.now(), None, 0)
    assert set(changes) == {"watched"}
    labels = {"namespace": "events", "endpoint": "watched"}
    assert metric("onair_webhook_attempts_total", result="success", **labels) == 1
    assert metric("onair_webhook_pending_events", **labels) == 0


@pytest.fixture
def every_level() -> Iterator[None]:
    """Whatever else in this process has said what is worth a line."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("every_level")
async def test_neither_url_nor_secret_is_logged(store: FileEventLogs, clock: Clock, receiver: Receiver) -> None:
    receiver.answer = broken
    with structlog.testing.capture_logs() as logs:
        async with delivering(store, clock, receiver.endpoint()) as deliverer:
            await told(deliverer, await say(store, clock, "1"))
    assert logs
    assert "hush" not in str(logs)
    assert receiver.secret.decode() not in str(logs)
