"""The schemas of the CRDs, taken apart: every rule, and for every limit an object that breaks it and one that just does not."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onair_core.manifests import crds

Schema = dict[str, Any]
Path = tuple[str, ...]

ITEM, VALUE = "[]", "{}"
"""Steps into a list and into a map."""

KINDS = sorted(crds())
# What says nothing about which values are right, or is taken apart here in another way.
NO_LIMITS = {
    "description", "default", "format", "properties", "items", "additionalProperties", "anyOf",
    "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-validations",
}  # fmt: skip

_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
# For each pattern: what just matches, what just does not, and of which a match of any length is made.
PATTERNS: dict[str, tuple[list[str], list[str], str]] = {
    "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$": (["a", "0-9"], ["a-", "-a", "A", "a.b", "a\n"], "a"),
    "^[A-Za-z0-9][A-Za-z0-9_-]*$": (["keynote-2026", "A_______"], ["-keynote", "_keynote", "keynote.1", "keynote8\n"], "a"),
    r"^[1-9][0-9]{0,8}(\.[0-9]{1,3})?[kMG]?$": (["20M", "2.5M", "800000"], ["0", "20Mi", "1.", "1.2345M", "-1"], "#"),
    r"^[^\s]+$": (["ghcr.io/onair/onair:1.0"], ["a b", "a\n"], "a"),
    r"^https?://[^\s/]+$": (["https://a:9000", "http://a"], ["https://a/", "ftp://a", "a", "https://a b"], "a"),
    _QUANTITY: (["10Gi", "1.5", "500m", "0"], ["10 GB", "1GB", "-1", "1e3", ".5"], "1"),
    r"^[a-z_*]+(\.[a-z_*]+)*$": (["*", "video.live_stream.*"], [".a", "a..b", "video.Live"], "a"),
}  # fmt: skip
# Strings with a rule beside the schema: how one that keeps it begins.
BEGINNINGS = {
    ("WebhookEndpoint", ("spec", "url")): "https://a",
    ("LiveStreamClass", ("spec", "store", "url")): "s3://a",
    ("LiveStreamClass", ("spec", "store", "endpoint")): "https://a",
}


def nodes(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every schema in a schema, `metadata` aside."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        if path or name != "metadata":
            yield from nodes(below, (*path, name))
    if "items" in schema:
        yield from nodes(schema["items"], (*path, ITEM))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], (*path, VALUE))


@dataclass(frozen=True)
class Rule:
    """Of CEL. `field` is where its message is told, with `[]` for the items of a list."""

    kind: str
    field: str
    message: str
    expression: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.field, self.message


def rules() -> list[Rule]:
    return [
        Rule(kind, text(path) + rule.get("fieldPath", ""), rule["message"], rule["rule"])
        for kind in KINDS
        for path, schema in nodes(crds()[kind].schema)
        for rule in schema.get("x-kubernetes-validations", ())
    ]


def text(path: Path) -> str:
    return ".".join(path).replace(".[]", "[]")


@dataclass(frozen=True)
class LimitCase:
    """`spec`s that break one limit of one field, and that just keep it."""

    kind: str
    path: Path
    limit: str
    broken: Any
    kept: Any | None


def limit_cases() -> Iterator[LimitCase]:
    """Of every limit of every field of every spec."""
    for kind in KINDS:
        spec = crds()[kind].schema["properties"]["spec"]
        for path, schema in nodes(spec, ("spec",)):
            for limit, broken, kept in _values(kind, path, schema):
                made = [None if v is _NOTHING else _Builder(kind).place(spec, path[1:], v) for v in (broken, kept)]
                yield LimitCase(kind, path, limit, made[0], made[1])


_NOTHING = object()


def _values(kind: str, path: Path, schema: Schema) -> Iterator[tuple[str, Any, Any]]:
    """(limit, a value that breaks it, one that keeps it) for one field."""
    builder = _Builder(kind)
    fine = builder.minimal(schema, path)
    either = schema.get("x-kubernetes-int-or-string", False)
    wrong = {"string": 5, "integer": "x", "boolean": "true", "object": [], "array": {}, "number": "x"}
    yield "type", 1.5 if either else wrong[schema["type"]], fine
    if "enum" in schema:
        for value in schema["enum"]:
            yield "enum", "no-such", value
    for limit, step in (("minimum", -1), ("maximum", 1)):
        if limit in schema:
            yield limit, schema[limit] + step, schema[limit]
    if "pattern" in schema:
        good, bad, _ = PATTERNS[schema["pattern"]]
        long_enough = [word for word in bad if len(word) >= schema.get("minLength", 0)]
        for index, word in enumerate(long_enough):
            yield "pattern", word, good[index % len(good)]
    for limit, step in (("minLength", -1), ("maxLength", 1)):
        if limit in schema:
            kept = builder.word(schema, path, schema[limit])
            # A bitrate has a length that its pattern never reaches: it is there for the cost of rules.
            yield limit, builder.word(schema, path, schema[limit] + step), _NOTHING if "#" in kept else kept
    if "maxItems" in schema:
        most = [builder.entry(schema["items"], (*path, ITEM), number) for number in range(schema["maxItems"] + 1)]
        yield "maxItems", most, most[:-1]
    if "maxProperties" in schema:
        below = builder.minimal(schema["additionalProperties"], (*path, VALUE))
        least = {f"k{number}": below for number in range(schema["maxProperties"])}
        yield "maxProperties", {**least, "more": below}, least
    for name in schema.get("required", ()):
        yield "required", {key: value for key, value in fine.items() if key != name}, fine
    if "x-kubernetes-list-map-keys" in schema:
        one, two = (builder.entry(schema["items"], (*path, ITEM), number) for number in (1, 2))
        yield "x-kubernetes-list-map-keys", [one, one], [one, two]
    if "properties" in schema:
        yield "unknown", {**fine, "bogus": 1}, _NOTHING


class _Builder:
    """Values that are as small as they may be."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def place(self, schema: Schema, below: Path, value: Any, above: Path = ("spec",)) -> Any:
        """The smallest value of a schema with `value` at a place in it."""
        if not below:
            return value
        step, *rest = below
        here = (*above, step)
        if step == ITEM:
            return [self.place(schema["items"], tuple(rest), value, here)]
        if step == VALUE:
            return {"key": self.place(schema["additionalProperties"], tuple(rest), value, here)}
        made: dict[str, Any] = self.minimal(schema, above)
        return {**made, step: self.place(schema["properties"][step], tuple(rest), value, here)}

    def minimal(self, schema: Schema, path: Path) -> Any:
        if schema.get("x-kubernetes-int-or-string"):
            return max(schema.get("minimum", 1), 1)
        kind = schema["type"]
        if kind == "object":
            below = schema.get("properties", {})
            return {name: self.minimal(below[name], (*path, name)) for name in schema.get("required", ())}
        if kind == "string":
            least = max(schema.get("minLength", 1), len(BEGINNINGS.get((self._kind, path), "")))
            return schema["enum"][0] if "enum" in schema else self.word(schema, path, least)
        return {"array": [], "integer": schema.get("minimum", 1), "boolean": True, "number": 1.0}[kind]

    def entry(self, schema: Schema, path: Path, number: int) -> Any:
        """Different ones for different numbers, where they have a name."""
        if schema["type"] == "string":
            return "a" * (number % schema["maxLength"] + 1)
        named = {"name": f"n{number}"} if "name" in schema["properties"] else {}
        return {**copy.deepcopy(self.minimal(schema, path)), **named}

    def word(self, schema: Schema, path: Path, length: int) -> str:
        """One of that length that matches the pattern, if one can be that long."""
        beginning = BEGINNINGS.get((self._kind, path), "")
        filler = PATTERNS[schema["pattern"]][2] if "pattern" in schema else "ä"
        return (beginning + filler * length)[:length]
