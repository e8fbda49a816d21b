"""YAML and JSON text to nodes, and nodes to plain values that remember their lines, within limits.

A key that stands twice is an error. Aliases and merge keys (`<<`) are followed; what they expand to is counted.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from onair_core.manifests import scalars

FieldPath = tuple[str | int, ...]
MAX_BYTES = 3 << 20
"""As much as the API server takes in one request."""
MAX_NODES = 100_000
MAX_DEPTH = 64

_PLAIN = "onair.dev,plain"
_MERGE = "<<"
_YAML = "tag:yaml.org,2002:"
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class NodeError(Exception):
    """What stands in a line cannot be taken."""

    def __init__(self, message: str, node: yaml.Node) -> None:
        super().__init__(message)
        self.line = node.start_mark.line + 1


class _Resolver:
    """Leaves scalars without quotes to `scalars`."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        names = {yaml.ScalarNode: "str", yaml.SequenceNode: "seq", yaml.MappingNode: "map"}
        return _YAML + names[kind]


class _MarkLoader(_Resolver, yaml.SafeLoader):
    """Written in Python: its marks count characters."""


_FastLoader: Any = _MarkLoader
if hasattr(yaml, "CSafeLoader"):

    class _CLoader(_Resolver, yaml.CSafeLoader):
        pass

    _FastLoader = _CLoader


def compose(text: str) -> Iterator[yaml.Node]:
    """The documents of a text that are not empty. Raises `yaml.YAMLError`."""
    return _compose(_json_as_yaml(text), _FastLoader)


def compose_with_marks(text: str) -> Iterator[yaml.Node]:
    """The same, slower; `start_mark.index` and `end_mark.index` of the nodes are positions in the text."""
    return _compose(text.replace("\t", " ") if is_json(text) else text, _MarkLoader)


def is_json(text: str) -> bool:
    """Whether a text is one JSON document."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def construct(node: yaml.Node, budget: Budget) -> tuple[Any, dict[FieldPath, int]]:
    """The value of a node, and the line of every field in it. Raises `NodeError`."""
    lines: dict[FieldPath, int] = {}
    return _construct(node, (), lines, budget), lines


class Budget:
    """How many nodes may still be made of one file."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def take(self, node: yaml.Node) -> None:
        self.left -= 1
        if self.left < 0:
            raise NodeError(f"more than {MAX_NODES} values in one file, with what aliases repeat", node)


def _compose(text: str, loader: Any) -> Iterator[yaml.Node]:
    for node in yaml.compose_all(text, Loader=loader):
        if node is not None and not (isinstance(node, yaml.ScalarNode) and node.tag == _PLAIN and node.value == ""):
            yield node


def _json_as_yaml(text: str) -> str:
    """JSON allows tabs between tokens and writes characters beyond U+FFFF as two escapes; YAML does not."""
    if ("\t" in text or "\\u" in text) and is_json(text):
        text = text.replace("\t", " ")
        return _SURROGATES.sub(lambda m: m[1] + json.loads(f'"\\u{m[2]}\\u{m[3]}"'), text)
    return text


def _construct(node: yaml.Node, path: FieldPath, lines: dict[FieldPath, int], budget: Budget) -> Any:
    lines[path] = node.start_mark.line + 1
    budget.take(node)
    if len(path) > MAX_DEPTH:
        raise NodeError("nested too deeply", node)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, budget)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*path, index), lines, budget) for index, item in enumerate(node.value)]
    return scalar(node)


def _mapping(node: yaml.MappingNode, path: FieldPath, lines: dict[FieldPath, int], budget: Budget) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    merged: list[yaml.Node] = []
    for key_node, value_node in node.value:
        if key_node.tag == _PLAIN and key_node.value == _MERGE:
            merged.append(value_node)
            continue
        key = key_of(key_node)
        if key in mapping:
            raise NodeError(f"the key {key!r} stands twice", key_node)
        mapping[key] = _construct(value_node, (*path, key), lines, budget)
        lines[(*path, key)] = key_node.start_mark.line + 1
    for source in merged:
        several = source.value if isinstance(source, yaml.SequenceNode) else [source]
        for one in several:
            if not isinstance(one, yaml.MappingNode):
                raise NodeError("<< takes an object, or a list of objects", one)
            budget.take(one)
            if len(path) >= MAX_DEPTH:
                raise NodeError("nested too deeply", one)
            for key, value in _mapping(one, (*path, _MERGE), {}, budget).items():
                if key not in mapping:
                    mapping[key] = value
                    lines[(*path, key)] = node.start_mark.line + 1
    return mapping


def key_of(node: yaml.Node) -> str:
    """A mapping's key as JSON has it. Raises `NodeError`."""
    if not isinstance(node, yaml.ScalarNode):
        raise NodeError("a key must be a string", node)
    if node.tag != _PLAIN:
        return str(node.value)
    try:
        return scalars.key(node.value)
    except ValueError as error:
        raise NodeError(str(error), node) from None


def scalar(node: yaml.Node) -> Any:
    """The value of a scalar. Raises `NodeError`."""
    tag, text = node.tag, node.value
    kinds: dict[str, tuple[type, ...]] = {
        "null": (type(None),),
        "bool": (bool,),
        "int": (int,),
        "float": (int, float),
    }
    try:
        if tag == _PLAIN:
            return scalars.plain(text)
        if tag == _YAML + "binary":
            return base64.b64decode(text).decode()
        if (expected := kinds.get(tag.removeprefix(_YAML))) is not None:
            value = scalars.plain(text)
            if not isinstance(value, expected):
                raise ValueError(f"{text!r} is not what its tag says")
            return value
    except (ValueError, binascii.Error) as error:
        raise NodeError(str(error), node) from None
    return text
