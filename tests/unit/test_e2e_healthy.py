"""The end-to-end tests' measure of a stall: the longest counts, also when it is over."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

import healthy
from healthy import Waiting


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(healthy, "time", found)
    return found


def test_a_stall_that_is_over_is_not_forgotten(clock: Clock) -> None:
    waiting = Waiting()
    for seconds in (2, 25, 2):
        waiting.begins()
        clock.now += seconds
        waiting.ends()
    assert waiting.longest == 25


def test_a_stall_that_goes_on_counts_from_its_begin(clock: Clock) -> None:
    waiting = Waiting()
    waiting.begins()
    clock.now += 5
    waiting.forget()
    clock.now += 3
    assert waiting.longest == 8
    waiting.ends()
    waiting.forget()
    assert waiting.longest == 0
