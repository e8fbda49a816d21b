"""The work queue with tasks, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from virtual_time import now, virtually

from onair_core.backoff import Backoff
from onair_core.kube.errors import KubeError, api_error
from onair_operator.queue import WorkQueue

Work = Callable[[str], Awaitable[float | None]]


def queue(work: Work, registry: CollectorRegistry | None = None, workers: int = 2) -> WorkQueue[str]:
    return WorkQueue(
        work,
        name="streams",
        workers=workers,
        backoff=Backoff(1.0, 60.0),
        stuck_after=100.0,
        chance=lambda: 0.0,
        registry=registry or CollectorRegistry(),
    )


def test_it_retries_requeues_and_heeds_retry_after() -> None:
    runs: list[tuple[str, float]] = []

    async def work(key: str) -> float | None:
        runs.append((key, now()))
        if len(runs) == 1:
            raise ValueError("broken")
        if len(runs) == 2:
            raise api_error(429, {}, "30")
        return 100.0 if len(runs) == 3 else None

    async def story() -> None:
        streams = queue(work)
        running = asyncio.create_task(streams.run())
        streams.add("a")
        await asyncio.sleep(500)
        await streams.stop(1)
        await running

    virtually(story())
    assert runs == [("a", 0.0), ("a", 1.0), ("a", 31.0), ("a", 131.0)]


def test_a_stop_waits_for_what_runs_begins_nothing_and_cancels_what_takes_too_long() -> None:
    ended: list[str] = []

    async def work(key: str) -> None:
        try:
            await asyncio.sleep({"short": 5, "long": 50}[key])
            ended.append(key)
        except asyncio.CancelledError:
            ended.append(f"{key} cancelled")
            raise

    async def story() -> float:
        streams = queue(work)
        running = asyncio.create_task(streams.run())
        for key in ("short", "long", "never"):
            streams.add(key)
        await asyncio.sleep(1)
        await streams.stop(grace=10)
        await running
        return now()

    assert virtually(story()) == 11.0
    assert ended == ["short", "long cancelled"]


def test_cancelled_it_leaves_no_task_behind() -> None:
    async def story() -> None:
        streams = queue(lambda key: asyncio.sleep(50, None))
        running = asyncio.create_task(streams.run())
        streams.add("a")
        await asyncio.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtually(story())


def test_stuck_is_work_that_does_not_end_or_that_nobody_begins() -> None:
    async def story() -> None:
        streams = queue(lambda key: asyncio.sleep(150, None))
        streams.add("a")
        await asyncio.sleep(101)
        assert "waited for a worker" in (streams.is_stuck() or "")
        running = asyncio.create_task(streams.run())
        await asyncio.sleep(99)
        assert streams.is_stuck() is None
        await asyncio.sleep(2)
        assert "a has been worked on for 101 s" in (streams.is_stuck() or "")
        await asyncio.sleep(100)
        assert streams.is_stuck() is None
        running.cancel()

    virtually(story())


def test_metrics_have_the_names_that_dashboards_know() -> None:
    registry = CollectorRegistry()

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"workqueue_{name}", {"name": "streams"})

    async def story() -> None:
        streams = queue(lambda key: asyncio.sleep(10, None), registry)
        running = asyncio.create_task(streams.run())
        for key in "abc":
            streams.add(key)
        streams.add("c")
        await asyncio.sleep(4)
        assert (value("adds_total"), value("depth")) == (4.0, 1.0)
        assert value("longest_running_processor_seconds") == 4.0 and value("unfinished_work_seconds") == 8.0
        await asyncio.sleep(100)
        assert value("queue_duration_seconds_sum") == 10.0 and value("work_duration_seconds_sum") == 30.0
        assert value("retries_total") == 0.0
        running.cancel()

    virtually(story())


ADDS = st.lists(st.tuples(st.floats(0, 10), st.sampled_from("abcd"), st.floats(0, 5)), max_size=30)


@settings(deadline=None)
@given(ADDS, st.integers(1, 3), st.floats(0, 3), st.integers(0, 3))
def test_never_two_of_a_key_and_a_run_after_every_add(
    adds: list[tuple[float, str, float]], workers: int, takes: float, failures: int
) -> None:
    began: dict[str, float] = {}
    inside: set[str] = set()
    failing = dict.fromkeys("abcd", failures)

    async def work(key: str) -> None:
        assert key not in inside and len(inside) < workers
        inside.add(key)
        began[key] = now()
        try:
            await asyncio.sleep(takes)
        finally:
            inside.remove(key)
        if failing[key]:
            failing[key] -= 1
            raise KubeError("broken")

    async def story() -> dict[str, float]:
        streams = queue(work, workers=workers)
        running = asyncio.create_task(streams.run())
        latest: dict[str, float] = {}
        for pause, key, after in adds:
            await asyncio.sleep(pause)
            streams.add(key, after)
            latest[key] = now()
        await asyncio.sleep(10_000)
        assert not running.done()
        await streams.stop(0)
        await running
        return latest

    latest = virtually(story())
    assert set(began) == set(latest) and all(began[key] >= latest[key] for key in latest)
