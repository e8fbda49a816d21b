"""The pure parts of webhooks: who wants what, signatures, the schedule of retries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_operator.webhooks import Endpoint, LabelSelector, Requirement
from onair_operator.webhooks.filters import Operator, wants
from onair_operator.webhooks.schedule import Schedule
from onair_operator.webhooks.signature import sign, verify


@pytest.mark.parametrize(
    ("patterns", "event", "wanted"),
    [
        ((), "video.live_stream.active", True),
        (("*",), "video.live_stream.active", True),
        (("video.live_stream.*",), "video.live_stream.active", True),
        (("video.live_stream.*",), "video.asset.ready", False),
        (("video.asset.ready", "video.live_stream.idle"), "video.live_stream.idle", True),
        (("video.asset.read",), "video.asset.ready", False),
        (("VIDEO.asset.ready",), "video.asset.ready", False),
    ],
)
def test_event_patterns(patterns: tuple[str, ...], event: str, wanted: bool) -> None:
    assert wants(patterns, event) is wanted


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        (LabelSelector(), {}, True),
        (LabelSelector({"team": "av"}), {"team": "av", "x": "y"}, True),
        (LabelSelector({"team": "av"}), {"team": "stage"}, False),
        (LabelSelector({"team": "av"}), {}, False),
        (LabelSelector({}, (Requirement("team", Operator.IN, ("av", "stage")),)), {"team": "stage"}, True),
        (LabelSelector({}, (Requirement("team", Operator.IN, ("av",)),)), {}, False),
        (LabelSelector({}, (Requirement("team", Operator.NOT_IN, ("av",)),)), {"team": "av"}, False),
        (LabelSelector({}, (Requirement("team", Operator.NOT_IN, ("av",)),)), {}, True),
        (LabelSelector({}, (Requirement("team", Operator.EXISTS),)), {"team": ""}, True),
        (LabelSelector({}, (Requirement("team", Operator.EXISTS),)), {}, False),
        (LabelSelector({}, (Requirement("team", Operator.DOES_NOT_EXIST),)), {}, True),
        (LabelSelector({"a": "b"}, (Requirement("c", Operator.EXISTS),)), {"a": "b"}, False),
    ],
)
def test_label_selectors_judge_as_kubernetes_does(
    selector: LabelSelector, labels: dict[str, str], selected: bool
) -> None:
    assert selector.matches(labels) is selected


def test_neither_secret_nor_url_is_in_an_endpoints_repr() -> None:
    endpoint = Endpoint(
        uid="u",
        revision="1",
        namespace="n",
        name="h",
        url="https://x.test/?token=hush",
        secrets=(b"hush",),
        created_at=0.0,
    )
    assert "hush" not in repr(endpoint)


def test_the_signature_is_muxs() -> None:
    """Made with: printf '1700000000.{}' | openssl dgst -sha256 -hmac secret"""
    assert sign(b"{}", [b"secret"], 1_700_000_000) == (
        "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
    )


def test_each_secret_signs_while_one_replaces_another() -> None:
    header = sign(b"body", [b"new", b"old"], 100)
    assert header.count("v1=") == 2
    assert " " not in header
    assert verify(b"body", header, [b"old"], 100) is None
    assert verify(b"body", header, [b"new"], 100) is None
    assert verify(b"body", header, [b"other"], 100) == "no signature matches the secret"


@pytest.mark.parametrize("secrets", [[], [b""], [b"good", b""]])
def test_nothing_is_sent_unsigned(secrets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="secret"):
        sign(b"{}", secrets, 1)


def test_old_signatures_are_refused() -> None:
    header = sign(b"body", [b"s"], 1000)
    assert verify(b"body", header, [b"s"], 1300) is None
    assert verify(b"body", header, [b"s"], 1301) == "older than 300 seconds"


@given(st.text(max_size=40))
def test_any_header_is_judged_without_an_error(header: str) -> None:
    assert verify(b"body", header, [b"s"], 0) is not None


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_delays_grow_up_to_an_hour_and_jitter_is_bounded(failures: int, random: float) -> None:
    schedule = Schedule()
    middle = schedule.delay(failures, 0.5)
    assert 5.0 <= middle <= 3600.0
    assert middle <= schedule.delay(failures + 1, 0.5)
    assert 0.9 * middle - 1e-6 <= schedule.delay(failures, random) <= 1.1 * middle + 1e-6


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=100, max_size=100))
def test_the_last_try_comes_when_24_hours_are_over(draws: list[float]) -> None:
    schedule, now, tries = Schedule(), 0.0, [0.0]
    deadline = schedule.deadline(0.0, 0.0)
    for failures, random in enumerate(draws, 1):
        following = schedule.next_at(now, failures, deadline, random)
        if following is None:
            break
        assert following > now
        now = following
        tries.append(now)
    assert tries[-1] == deadline == 86400.0
    assert 25 <= len(tries) <= 40


def test_max_attempts_is_what_mux_shows_in_attempts() -> None:
    assert Schedule().max_attempts == pytest.approx(30, abs=6)
