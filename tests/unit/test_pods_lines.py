"""A journal's lines as a pod sends them, and as it should not."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_core.contract import Cursor, EventType, JournalEvent
from onair_operator.pods.errors import PodRefused
from onair_operator.pods.lines import EMPTY_LINES_AT_ONCE, NOTHING, EventLines

LONGEST = 400


def event(epoch: int, n: int, **data: object) -> JournalEvent:
    return JournalEvent(epoch=epoch, n=n, type=EventType.STREAM_WARNING, at=1.7e9, data=data)


def line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def lines_after(epoch: int = 0, n: int = 0) -> EventLines:
    return EventLines(Cursor(epoch, n), 0.0, LONGEST)


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(1, 60), min_size=1))
def test_however_it_is_cut_the_same_events_come_out(empty: list[int], cuts: list[int]) -> None:
    told = [event(1, n + 1, text="x" * n) for n in range(len(empty))]
    sent = b"".join(b"\n" * count + line(one) for one, count in zip(told, empty, strict=True))
    lines, found, size, at = lines_after(), [], 0, 0
    while at < len(sent):
        cut = cuts[at % len(cuts)]
        batch = lines.feed(sent[at : at + cut], now=3600.0)
        assert (batch is not None) == (b"\n" in sent[at : at + cut])
        if batch is not None:
            found += batch.events
            size += batch.size
        at += cut
    assert found == told
    assert size == sum(len(line(one)) - 1 for one in told)


def test_a_sign_of_life_is_no_event() -> None:
    assert lines_after().feed(b"\n", 0.0) is NOTHING
    assert lines_after().feed(b'{"epo', 0.0) is None


def test_epochs_and_numbers_may_leave_some_out_but_only_rise() -> None:
    told = [event(2, 8), event(2, 9), event(2, 12), event(5, 1), event(6, 13)]
    batch = lines_after(2, 7).feed(b"".join(map(line, told)), 0.0)
    assert batch is not None and batch.events == tuple(told) and batch.newest == Cursor(6, 13)


@pytest.mark.parametrize("next_", [(2, 7), (2, 6), (1, 99)])
@pytest.mark.parametrize("begin", [b"", line(event(2, 7))])
def test_events_that_do_not_rise_are_nonsense(begin: bytes, next_: tuple[int, int]) -> None:
    lines = lines_after(2, 7 - bool(begin))
    with pytest.raises(ValueError, match=rf"event {next_[0]}\.{next_[1]} after 2\.7"):
        lines.feed(begin + line(event(*next_)), 0.0)


def with_(**fields: object) -> bytes:
    return line(msgspec.to_builtins(event(1, 1)) | fields)


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b"null\n",
        b'{"epoch":1,"n":1,"type":"video.live_stream.idle","at":1e999}\n',
        b'{"epoch":1,"n":1,"type":"video.live_stream.idle","at":NaN}\n',
        b'{"epoch":1,"n":1,"type":"video.live_stream.idle","at":1,"data":{"message":"\\ud800"}}\n',
        b'{"epoch":1,"n":1,"type":"video.live_stream.idle","at":1,"data":{"deep":' + b"[" * 200_000 + b"\n",
        with_(type="video.live_stream.sold"),
        with_(epoch="1"),
        with_(epoch=1.5),
        with_(epoch=-1),
        with_(n=10**10),
        with_(at=-1.0),
        with_(at=1e300),
        with_(data=[1]),
        with_(broadcast={"id": 1, "epoch": 1}),
    ],
    ids=lambda sent: sent[:60],
)
def test_what_is_no_event_is_nonsense(sent: bytes) -> None:
    with pytest.raises(ValueError, match=r"no event|no journal"):
        EventLines(Cursor(), 0.0).feed(sent, 0.0)


@pytest.mark.parametrize("size", [1, 7, LONGEST, 10 * LONGEST])
@pytest.mark.parametrize("begin", [b"", line(event(1, 1))])
def test_a_line_without_an_end_is_not_waited_for(size: int, begin: bytes) -> None:
    lines = lines_after()
    lines.feed(begin, 0.0)
    with pytest.raises(ValueError, match="more than 400 bytes"):
        for _ in range(LONGEST // size + 1):
            assert lines.feed(b"x" * size, 0.0) is None


def test_signs_of_life_are_enough_of_them() -> None:
    lines = lines_after()
    lines.feed(b"\n" * EMPTY_LINES_AT_ONCE, 0.0)
    for second in range(1, 3600):
        assert lines.feed(b"\n", float(second)) is NOTHING
    with pytest.raises(ValueError, match="empty lines"):
        lines.feed(b"\n\n", 3600.0)


def test_a_refusal_is_one_short_line() -> None:
    error = PodRefused(418, "no\x1b[31m\ncoffee" + "x" * 10_000)
    assert error.status == 418 and str(error).startswith("418: no [31m coffee") and len(str(error)) < 600
