"""Changing one field of a manifest file: files are the truth, as Git is, so every other character stays as it is.

The text is changed where the field stands, and read again: what came out must be what was asked for, and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from onair_core.manifests import API_VERSION, DEFAULT_NAMESPACE
from onair_core.manifests.nodes import Budget, NodeError, compose, compose_with_marks, construct, is_json, key_of
from onair_operator.local import durable


class EditError(Exception):
    """The file cannot be changed; the message says why."""


def set_rotation(file: Path, namespace: str, name: str, rotation: str) -> None:
    """Sets `spec.streamKey.rotation` of one LiveStream, atomically. Raises `EditError`.

    Where `file` is a symbolic link, the file that it leads to is changed.
    """
    real = Path(os.path.realpath(file))
    try:
        text = real.read_bytes().decode("utf-8")
        made = with_rotation(text, namespace, name, rotation)
        if made is None:
            raise EditError(f"{file} does not declare LiveStream {namespace}/{name}")
        if not _differ_in_rotation_only(text, made, namespace, name, rotation):
            raise EditError(
                f"{file} is written in a way that cannot be changed safely; set spec.streamKey.rotation there"
            )
        durable.replace(real, made.encode("utf-8"), real.stat().st_mode & 0o777)
    except OSError as error:
        raise EditError(f"{file} cannot be changed: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError, NodeError, RecursionError) as error:
        raise EditError(f"{file} cannot be read: {error}") from error


def with_rotation(text: str, namespace: str, name: str, rotation: str) -> str | None:
    """The text with the field set; None when it does not declare the stream, or not as an object of its own."""
    quoted = json.dumps(rotation)
    for node in _objects(text):
        spec = _field(node, "spec")
        if not _is_stream(construct(node, Budget())[0], namespace, name) or not isinstance(spec, yaml.MappingNode):
            continue
        in_json = is_json(text)
        stream_key = _field(spec, "streamKey")
        if stream_key is None:
            return _inserted(text, spec, "streamKey", f"{{{_key('rotation', in_json)}: {quoted}}}", in_json)
        if not isinstance(stream_key, yaml.MappingNode):
            return _replaced(text, stream_key, f"{{{_key('rotation', in_json)}: {quoted}}}")
        found = _field(stream_key, "rotation")
        if found is None:
            return _inserted(text, stream_key, "rotation", quoted, in_json)
        return _replaced(text, found, quoted)
    return None


def _objects(text: str) -> Iterator[yaml.Node]:
    for node in compose_with_marks(text):
        items = _field(node, "items")
        if isinstance(items, yaml.SequenceNode):
            yield from items.value
        else:
            yield node


def _field(node: yaml.Node, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key_of(key) == name), None)


def _replaced(text: str, node: yaml.Node, value: str) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    if start == end and text[start - 1 : start] == ":":
        value = " " + value  # `rotation:` without a value
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        value += "\n"  # a block scalar ends with its last line's end
    return text[:start] + value + text[end:]


def _inserted(text: str, mapping: yaml.MappingNode, key: str, value: str, in_json: bool) -> str:
    """A new first field of a mapping."""
    at = mapping.start_mark.index
    if mapping.flow_style:
        comma = ", " if mapping.value else ""
        return f"{text[: at + 1]}{_key(key, in_json)}: {value}{comma}{text[at + 1 :]}"
    indentation = " " * mapping.start_mark.column
    return f"{text[:at]}{key}: {value}\n{indentation}{text[at:]}"


def _key(name: str, in_json: bool) -> str:
    return json.dumps(name) if in_json else name


def _differ_in_rotation_only(before: str, after: str, namespace: str, name: str, rotation: str) -> bool:
    wanted = _values(before)
    for value in wanted:
        for item in value["items"] if isinstance(value.get("items"), list) else [value]:
            if _is_stream(item, namespace, name):
                item["spec"]["streamKey"] = {**(item["spec"].get("streamKey") or {}), "rotation": rotation}
    try:
        return _values(after) == wanted
    except (yaml.YAMLError, NodeError):
        return False


def _values(text: str) -> list[Any]:
    budget = Budget()
    return [construct(node, budget)[0] for node in compose(text)]


def _is_stream(value: Any, namespace: str, name: str) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return False
    metadata = value["metadata"]
    return (
        value.get("apiVersion") == API_VERSION
        and value.get("kind") == "LiveStream"
        and metadata.get("name") == name
        and (metadata.get("namespace") or DEFAULT_NAMESPACE) == namespace
        and isinstance(value.get("spec"), dict)
    )
