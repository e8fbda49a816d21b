"""What the log says of objects: each change once, and never a secret."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from onair_operator.local.bookkeeping import for_people
from onair_operator.local.news import REPEAT_SECONDS, News, changed_fields, tell_change, tell_kept, tell_key
from onair_operator.local.objects import Change

Object = dict[str, Any]


def thing(kind: str = "WebhookEndpoint", status: str = "True", reason: str = "Delivering", message: str = "") -> Object:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    metadata = {"name": "a", "namespace": "default", "uid": f"uid-{kind}"}
    return {"kind": kind, "metadata": metadata, "status": {"conditions": [condition]}}


def said(news: News, *values: Object, step: float = 1.0) -> list[tuple[str, str]]:
    with capture_logs() as logs:
        for number, value in enumerate(values):
            news.ready(value, number * step)
    return [(line["log_level"], line["reason"]) for line in logs]


def test_what_is_not_ready_is_told_once_and_that_it_is_ready_again() -> None:
    missing = thing(status="False", reason="SecretMissing", message="Secret s is not there")
    assert said(News(), missing, missing, thing(), thing()) == [("warning", "SecretMissing"), ("info", "Delivering")]


def test_what_is_ready_from_the_start_is_not_told() -> None:
    assert said(News(), thing(), thing()) == []


def test_a_failing_endpoint_is_told_again_only_after_a_while() -> None:
    tries = [thing(status="False", reason="DeliveryFailing", message=f"{n} tries failed") for n in range(1, 7)]
    assert len(said(News(), *tries)) == 1
    assert len(said(News(), *tries, step=REPEAT_SECONDS / 2)) == 3


def test_an_endpoint_without_streams_in_its_namespace_is_told_once() -> None:
    news, endpoint = News(), thing()
    with capture_logs() as logs:
        news.audience(endpoint, {"events"})
        news.audience(endpoint, {"events"})
        news.audience(endpoint, {"default"})
    assert [line["streams_are_in"] for line in logs] == ["events"]


def test_an_edit_is_acknowledged_with_the_names_of_its_fields() -> None:
    before = {**thing("LiveStream"), "spec": {"title": "a", "streamKey": {"rotation": "1"}, "test": True}}
    after = {**before, "spec": {"title": "b", "streamKey": {"rotation": "2"}}}
    with capture_logs() as logs:
        tell_change(Change.UPDATED, before, after)
        tell_change(Change.NONE, after, after)
        tell_change(Change.CREATED, None, after)
        tell_kept([before])
    assert [(line["event"], line["object"]) for line in logs] == [
        ("updated", "LiveStream default/a"),
        ("added", "LiveStream default/a"),
        ("keeping the previous version", "LiveStream default/a"),
    ]
    assert logs[0]["fields"] == "title, streamKey.rotation, test"


def test_of_a_secret_and_of_labels_only_names_are_told() -> None:
    before = {**thing("Secret"), "data": {"old": "aHVzaA==", "key": "aHVzaA=="}}
    after = {**before, "data": {"key": "c3Ryb25n"}, "metadata": {**before["metadata"], "labels": {"show": "x"}}}
    assert changed_fields(before, after) == ["data.key", "data.old", "labels.show"]


def test_each_key_change_is_told_and_an_earlier_key_loudly() -> None:
    stream = thing("LiveStream")
    with capture_logs() as logs:
        for fingerprint in ("1", "1", None, "1", "2", "3", "1", "2"):
            tell_key(stream, fingerprint)
    assert [line["log_level"] for line in logs] == ["info", "info", "warning", "warning"]
    assert "bookkeeping" not in for_people(stream)
