"""A manifest that the API server takes is taken by `onair validate`, and makes the same object; one that it refuses is refused.

`test_crd_rules.py` goes through rules and limits one by one. Here are the corners where two readers of the same schema
differ, and objects that nobody thought of.
"""

from __future__ import annotations

from typing import Any

import pytest
from crd_judges import API_VERSION, ApiServer, Object, disagreements, local, manifest, path_of
from crd_schema import BEGINNINGS, KINDS, PATTERNS, Path, Schema
from desired_stage import FULL_CLASS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelab import layout
from kubelab.nodeless import ControlPlane
from onair_core.manifests import crds, load, validate

Strategy = st.SearchStrategy[Any]


@pytest.fixture
def api_server(control_plane: ControlPlane, crds: None) -> ApiServer:
    return ApiServer(control_plane)


def stream(**spec: Any) -> Object:
    return manifest("LiveStream", spec)


def class_(**ingest: Any) -> Object:
    return manifest("LiveStreamClass", {"ingest": ingest})


CORNERS: dict[str, Object] = {
    "no spec": {name: part for name, part in stream().items() if name != "spec"},
    "a null spec": manifest("LiveStream", None),
    "nulls where there is a default": stream(playback=[{"name": None, "policy": None}], streamKey=None, disabled=None),
    "nulls where there is none": stream(title=None, reconnectWindowSeconds=None, slate=None),
    "null as required": manifest("WebhookEndpoint", {"url": None, "secretRef": {"name": None}}),
    "null in a list": stream(playback=[None]),
    "null in a list of strings": manifest("LiveStreamClass", {"playback": {"hostnames": ["a", None]}}),
    "null in a map": class_(service={"annotations": {"a": None, "b": "c"}}),
    "nothing but null in a map with a default": class_(pod={"resources": {"requests": {"cpu": None}}}),
    "an empty map where there is a default": class_(pod={"resources": {"requests": {}}}),
    "an empty list where there is a default": stream(newAssetSettings={"playback": []}),
    "an object where there is a list": stream(playback={"name": "a"}),
    "a whole number with a point": stream(reconnectWindowSeconds=60.0),
    "a number with a fraction": stream(reconnectWindowSeconds=60.5),
    "a number in quotes": stream(reconnectWindowSeconds="60"),
    "a boolean in quotes": stream(disabled="true"),
    "a boolean that is a number": stream(disabled=1),
    "a number that is a boolean": stream(reconnectWindowSeconds=True),
    "2^63 - 1": class_(maxIngestBitrate=(1 << 63) - 1),
    "2^63": class_(maxIngestBitrate=1 << 63),
    "-2^63 - 1": class_(maxIngestBitrate=-(1 << 63) - 1),
    "10^30": class_(volume={"emptyDir": {"sizeLimit": 10**30}}),
    "a float as a quantity": class_(volume={"emptyDir": {"sizeLimit": 1.5}}),
    "a whole float as a quantity": class_(volume={"emptyDir": {"sizeLimit": 2.0}}),
    "a boolean as a quantity": class_(pod={"resources": {"limits": {"memory": True}}}),
    "characters are counted, not bytes": stream(title="ä" * 512),
    "and not halves of characters": stream(title="\U0001f3a5" * 512),
    "one character too many": stream(title="\U0001f3a5" * 513),
    "a newline behind a match": stream(playback=[{"id": "keynote-2026\n"}]),
    "white space that is no ASCII": class_(image="a\u00a0b"),
    "digits that are no ASCII": class_(maxIngestBitrate="\u0662\u0663"),
    "letters that are no ASCII": stream(playback=[{"id": "schlüssel"}]),
    "two entries without a name": stream(playback=[{}, {}]),
    "one with the name that the other gets": stream(playback=[{}, {"name": "main"}]),
    "names that differ in their case": stream(playback=[{"name": "a"}, {"name": "A"}]),
    "three of one name": stream(playback=[{"name": "a"}, {"name": "b"}, {"name": "a"}, {"name": "a"}]),
    "several mistakes": stream(title=5, latencyMode="fast", reconnectWindowSeconds=-1, playback=[{"id": "x"}]),
    "a limit and a rule": stream(reconnectWindowSeconds=-1, latencyMode="low"),
    "a shape and a rule": stream(reconnectWindowSeconds="x", latencyMode="low"),
    "two rules of one object": stream(latencyMode="low", slate={}),
    "unknown fields at every depth": stream(x=1, playback=[{"y": 2}], streamKey={"secretRef": {"name": "a", "z": 3}}),
    "unknown and wrong": stream(x=1, latencyMode="low"),
    "an unknown field beside spec": {**stream(), "specs": {}},
    "a status": {**stream(), "status": {"phase": "Active"}},
    "everything of a class": manifest("LiveStreamClass", FULL_CLASS),
    "a selector": manifest(
        "WebhookEndpoint",
        {
            "url": "https://a.example",
            "secretRef": {"name": "s"},
            "selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}], "matchLabels": {"a": None}},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CORNERS)
def test_a_corner(name: str, api_server: ApiServer) -> None:
    asked = CORNERS[name]
    assert disagreements(api_server.judge(asked), local(asked)) == []


@pytest.mark.parametrize(
    ("metadata", "fine"),
    [
        ({"name": "a" * 50}, True),
        ({"name": "A"}, False),
        ({"name": "a_b"}, False),
        ({"name": ""}, False),
        ({"name": 5}, False),
        ({"name": "a", "labels": {"a": "b", "example.com/a": ""}}, True),
        ({"name": "a", "labels": {"a": "-"}}, False),
        ({"name": "a", "labels": {"a b": "c"}}, False),
        ({"name": "a", "labels": {"a": 5}}, False),
        ({"name": "a", "labels": {"A.example/a": "c"}}, False),
        ({"name": "a", "labels": {"a" * 64: "c"}}, False),
        ({"name": "a", "labels": {"a": "c" * 64}}, False),
        ({"name": "a", "labels": None}, True),
        ({"name": "a", "annotations": {"a": "any\n☃" * 1000}}, True),
        ({"name": "a", "annotations": {"a": "x" * (256 << 10)}}, False),
        ({"name": "a", "annotations": {"a/b/c": "x"}}, False),
        ({"name": "a", "unknown": "x"}, False),
    ],
)
def test_metadata(metadata: Object, fine: bool, api_server: ApiServer) -> None:
    """In other words: Kubernetes' are about RFC 1123."""
    asked = manifest("LiveStream", {})
    asked["metadata"] = {**metadata, "namespace": "default"}
    assert (not api_server.judge(asked).told, not local(asked).told) == (fine, fine)


def test_the_examples_are_taken_as_they_are_and_read_back_as_they_are_used(api_server: ApiServer) -> None:
    found = validate(load([layout.PROJECT / "examples"])).manifests.values()
    ours = [made for made in found if made.value["apiVersion"] == API_VERSION]
    assert len(ours) >= 3
    for made in ours:
        whole = {**made.document.value, "metadata": made.value["metadata"]}
        verdict = api_server.judge(whole)
        assert verdict.made and not verdict.told and verdict.made["spec"] == made.value["spec"]


# Objects that nobody thought of

ODD: list[Any] = [None, "", "x", "1", 0, -1, 1.5, True, [], {}, [None], {"key": None}, 1 << 64]


def values(kind: str, schema: Schema, path: Path) -> Strategy:
    """Mostly such as the schema wants, each part of it now and then something else."""
    return st.integers(0, 24).flatmap(lambda n: st.sampled_from(ODD) if n == 0 else _proper(kind, schema, path))


def _proper(kind: str, schema: Schema, path: Path) -> Strategy:
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.integers(-1, 1 << 40), _word(kind, schema, path))
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], *schema["enum"], "other"])
    of_type = schema["type"]
    if of_type == "object" and "properties" in schema:
        return _object(kind, schema, path)
    if of_type == "object":
        keys = st.sampled_from(["a", "cpu", "onair.dev/x", "app.kubernetes.io/x"])
        return st.dictionaries(keys, values(kind, schema["additionalProperties"], (*path, "{}")), max_size=3)
    if of_type == "array":
        return st.lists(values(kind, schema["items"], (*path, "[]")), max_size=3)
    if of_type == "integer":
        low, high = schema.get("minimum", 0), schema.get("maximum", 100)
        return st.one_of(st.integers(low, high), st.sampled_from([low - 1, low, high, high + 1]))
    return st.booleans() if of_type == "boolean" else _word(kind, schema, path)


def _object(kind: str, schema: Schema, path: Path) -> Strategy:
    below = {name: values(kind, part, (*path, name)) for name, part in schema["properties"].items()}
    required = schema.get("required", [])
    some = st.lists(st.sampled_from(sorted(below)), max_size=4, unique=True)
    chosen = st.tuples(some, st.integers(0, 9)).map(
        lambda p: {*p[0], *(required if p[1] else []), *([] if p[1] != 1 else ["x"])}
    )
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries({name: below.get(name, st.just(1)) for name in sorted(names)})
    )


def _word(kind: str, schema: Schema, path: Path) -> Strategy:
    if "pattern" in schema:
        good, bad, _ = PATTERNS[schema["pattern"]]
        return st.sampled_from([*good * 3, *bad])
    beginning = BEGINNINGS.get((kind, path), "")
    least, most = schema.get("minLength", 0), min(schema["maxLength"], 70)
    return st.text("aä.:/ ", min_size=least, max_size=most).map(lambda word: beginning + word)


OBJECTS: dict[str, Strategy] = {
    kind: values(kind, crds()[kind].schema["properties"]["spec"], ("spec",)).map(
        lambda spec, kind=kind: manifest(kind, spec)
    )  # type: ignore[misc]
    for kind in KINDS
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_object(kind: str, api_server: ApiServer) -> None:
    fine = 0

    @settings(max_examples=80, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(asked=OBJECTS[kind])
    def judged(asked: Object) -> None:
        nonlocal fine
        verdict, here = api_server.judge(asked), local(asked)
        fine += not verdict.told
        assert disagreements(verdict, here, exactly=False) == []
        assert bool(verdict.told) == bool(here.told)

    judged()
    assert fine, "none of them was right: this says little"


@pytest.mark.parametrize("kind", ["LiveStream", "LiveStreamClass"])
def test_any_change(kind: str, api_server: ApiServer, control_plane: ControlPlane, namespace: str) -> None:
    """From one object to any other."""
    first = manifest(kind, {}, name=f"c-{namespace}"[:50].strip("-"), namespace=namespace)
    old = control_plane.api.create(path_of(first), first)

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(asked=OBJECTS[kind])
    def judged(asked: Object) -> None:
        changed = {**asked, "metadata": first["metadata"]}
        verdict, here = api_server.judge(changed, old), local(changed, old)
        assert disagreements(verdict, here, exactly=False) == []
        assert bool(verdict.told) == bool(here.told)

    judged()
