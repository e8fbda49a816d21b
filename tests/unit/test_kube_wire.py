"""Paths, errors and lines of the Kubernetes API."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from onair_core.backoff import Backoff
from onair_core.kube import resources
from onair_core.kube.errors import AlreadyExists, ApiError, Conflict, Gone, TooManyRequests, Unavailable, api_error
from onair_core.kube.frames import Lines
from onair_core.kube.resources import LIVE_STREAM_CLASSES, LIVE_STREAMS, PODS, Resource
from onair_core.manifests.crd import crd_folder


def test_paths() -> None:
    assert PODS.path() == "/api/v1/pods"
    assert PODS.path("events", "a") == "/api/v1/namespaces/events/pods/a"
    assert (
        LIVE_STREAMS.path("events", "a", "status") == "/apis/onair.dev/v1alpha1/namespaces/events/livestreams/a/status"
    )
    assert LIVE_STREAM_CLASSES.path("events", "a") == "/apis/onair.dev/v1alpha1/livestreamclasses/a"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a?b", "a%2f", "a\n"])
def test_a_name_never_leads_elsewhere(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        PODS.path("events", name)
    with pytest.raises(ValueError, match="namespace"):
        PODS.path(None, "a")


def test_our_kinds_are_those_of_the_crds() -> None:
    ours = {found for found in vars(resources).values() if isinstance(found, Resource) and found.group == "onair.dev"}
    crds = [yaml.safe_load(file.read_text())["spec"] for file in crd_folder().glob("*.yaml")]
    assert {(found.plural, found.kind, found.version, found.namespaced) for found in ours} == {
        (crd["names"]["plural"], crd["names"]["kind"], crd["versions"][0]["name"], crd["scope"] == "Namespaced")
        for crd in crds
    }


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (409, {"reason": "AlreadyExists"}, AlreadyExists),
        (409, {"reason": "Conflict"}, Conflict),
        (410, {"reason": "Expired"}, Gone),
        (429, "slow down", TooManyRequests),
        (503, None, Unavailable),
        (418, [], ApiError),
    ],
)
def test_answers_are_told_apart(code: int, status: object, kind: type[ApiError]) -> None:
    error = api_error(code, status)
    assert type(error) is kind and error.code == code


def test_a_conflict_names_the_managers() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{who}" using v1', "field": field}
        for who, field in (("kubectl", ".spec.a"), ("argocd", ".spec.b"), ("kubectl", ".spec.c"))
    ]
    error = api_error(409, {"reason": "Conflict", "details": {"causes": causes}})
    assert isinstance(error, Conflict) and error.managers == ("kubectl", "argocd")


@pytest.mark.parametrize(
    ("header", "details", "seconds"), [("7", {}, 7), (None, {"retryAfterSeconds": 3}, 3), ("x", {}, None)]
)
def test_retry_after(header: str | None, details: dict[str, int], seconds: float | None) -> None:
    assert api_error(429, {"details": details}, header).retry_after == seconds


@given(st.lists(st.binary(max_size=8).map(lambda line: line.replace(b"\n", b"x"))), st.lists(st.integers(0, 60)))
def test_lines_come_whole_however_they_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    stream, lines = b"".join(line + b"\n" for line in sent), Lines()
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    got = [line for begin, end in zip(edges, edges[1:], strict=False) for line in lines.feed(stream[begin:end])]
    assert got == [line for line in sent if line]


def test_a_line_without_end_is_refused() -> None:
    lines = Lines(longest=10)
    with pytest.raises(ValueError, match="more than 10"):
        for _ in range(3):
            list(lines.feed(b"12345"))


def test_delays_double_and_end() -> None:
    backoff = Backoff(1.0, 5.0, jitter=0.5)
    assert [backoff.delay(failures, 0.0) for failures in (1, 2, 3, 4, 5000)] == [1, 2, 4, 5, 5]
    assert backoff.delay(1, 0.999) == pytest.approx(0.5, abs=0.01)
