"""The limits of both ports are those of the default class, and the CRD's defaults are the code's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from onair_core.contract import HttpLimitsSpec, LimitsSpec
from onair_core.manifests import LiveStreamClassSpec, crds, spec_of
from onair_media.ingest.class_limits import http_limits, port_limits
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits
from onair_media.playback import Limits as HttpLimits
from onair_media.rtmp import Limits

SCHEMA = crds()["LiveStreamClass"].schema["properties"]["spec"]["properties"]["limits"]


def written(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The fields of the class's limits that have a value, with their schemas."""
    for name, below in schema["properties"].items():
        if below["type"] == "object":
            yield from written(below, (*path, name))
        else:
            yield (*path, name), below


FIELDS = dict(written(SCHEMA))


def in_force(limits: dict[str, Any]) -> dict[str, Any]:
    """The fields of all tables, when a class says this."""
    spec = spec_of({"spec": {"limits": limits}}, LiveStreamClassSpec).limits
    connection, port, deadlines = port_limits(spec)
    tables = {"rtmp": connection, "gate": port, "deadlines": deadlines, "http": http_limits(spec.http, HttpLimits())}
    return {f"{name}.{field}": value for name, table in tables.items() for field, value in asdict(table).items()}


def changed(path: tuple[str, ...]) -> set[str]:
    """The fields that the smallest value of this one changes, or the next if that is the default."""
    smallest = FIELDS[path]["minimum"]
    value: Any = smallest + (smallest == FIELDS[path].get("default"))
    for name in reversed(path):
        value = {name: value}
    before, after = in_force({}), in_force(value)
    return {field for field in before if before[field] != after[field]}


def test_without_a_word_in_the_class_the_limits_are_the_codes() -> None:
    assert port_limits(LimitsSpec()) == (Limits(), AdmissionLimits(), Deadlines())
    assert http_limits(HttpLimitsSpec(), HttpLimits()) == HttpLimits()


def test_every_limit_can_be_set_in_the_class() -> None:
    """Whoever adds one to a table adds it to the CRD."""
    reached = {field for path in FIELDS for field in changed(path)}
    assert set(in_force({})) - reached == set()


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_every_field_of_the_class_sets_a_limit_and_has_bounds(path: tuple[str, ...]) -> None:
    schema = FIELDS[path]
    assert changed(path)
    assert schema["minimum"] <= schema.get("default", schema["minimum"]) <= schema["maximum"]
    assert "default" in schema or path[0] == "http"


def test_what_the_class_says_is_in_force() -> None:
    connection, port, deadlines = port_limits(
        LimitsSpec(
            max_message_bytes=1_000_000,
            max_connections=7,
            handshake_timeout_seconds=3,
            publish_timeout_seconds=4,
            media_timeout_seconds=60,
            throttled_timeout_seconds=5,
        )
    )
    assert connection.max_message == 1_000_000 and connection.max_buffered == 1_500_000
    assert port.connections == 7
    assert deadlines == Deadlines(handshake=3.0, publish=4.0, media=60.0, throttled=5.0)


@pytest.mark.parametrize(
    ("said", "connections", "per_address"),
    [
        (HttpLimitsSpec(), 1000, 500),
        (HttpLimitsSpec(max_connections=100), 100, 50),
        (HttpLimitsSpec(max_connections=1), 1, 1),
        (HttpLimitsSpec(max_connections=1_000_000), 1000, 500),
        (HttpLimitsSpec(max_connections_per_address=900), 1000, 900),
    ],
)
def test_viewers_have_no_more_than_the_process_has_files_for(
    said: HttpLimitsSpec, connections: int, per_address: int
) -> None:
    limits = http_limits(said, HttpLimits(connections=1000, per_address=500))
    assert (limits.connections, limits.per_address, limits.site_factor) == (connections, per_address, 1)
