"""Time that nobody sets, tied to the one that people set."""

from __future__ import annotations

import time

import pytest

from onair_media.ingest import clock as clock_module
from onair_media.ingest.clock import Clock


class Machine:
    """Its clocks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.running, self.suspended = 1_000_000.0, 500.0, 0.0
        monkeypatch.setattr(clock_module, "_BOOTTIME", 7)
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.running)
        monkeypatch.setattr(time, "clock_gettime", lambda _: self.running + self.suspended)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.suspended += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_system_clock_that_is_set_changes_nothing_until_it_is_tied_again(machine: Machine) -> None:
    clock = Clock()
    machine.run(10)
    machine.wall += 3600
    assert clock.now() == 1_000_010
    clock.tie()
    assert clock.now() == 1_003_610


def test_time_in_suspend_counts_and_is_noticed_once(machine: Machine) -> None:
    clock = Clock()
    machine.sleep(8 * 3600)
    assert clock.now() == machine.wall
    assert clock.slept()
    machine.run(10)
    assert not clock.slept()


def test_without_the_clock_that_counts_suspend_there_is_still_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_module, "_BOOTTIME", None)
    clock = Clock()
    machine.run(10)
    assert clock.now() == machine.wall
    machine.sleep(100)
    assert not clock.slept() and clock.now() == machine.wall - 100
