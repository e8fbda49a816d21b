"""YAML files to documents that remember where each field stands.

Read as kubectl reads them (YAML 1.1, dates stay strings), but strictly: a key that stands twice is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FieldPath = tuple[str | int, ...]
STANDARD_INPUT = "-"
_SUFFIXES = (".yaml", ".yml", ".json")
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong, and where: `file:line: field: message`."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return where + (f"{self.path}: " if self.path else "") + self.message


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document (or item of a List). `lines` has the line of every field."""

    file: str
    value: dict[str, Any]
    lines: dict[FieldPath, int] = field(repr=False)

    def problem(self, path: FieldPath, message: str) -> Problem:
        """A problem at a field, or at the nearest one above it that exists."""
        at = path
        while at and at not in self.lines:
            at = at[:-1]
        return Problem(self.file, self.lines.get(at, 1), format_path(path), message)

    @property
    def identity(self) -> tuple[str, str, str] | None:
        """(kind, namespace, name) as far as the document says them; None when it does not."""
        kind, metadata = self.value.get("kind"), self.value.get("metadata")
        if not isinstance(kind, str) or not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            return None
        namespace = metadata.get("namespace")
        return kind, namespace if isinstance(namespace, str) else "", metadata["name"]


@dataclass(slots=True)
class Loaded:
    """What was read. `unreadable`: files whose documents are unknown now, because they cannot be parsed."""

    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)


class _Duplicate(yaml.YAMLError):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(f"the key {key!r} stands twice")
        self.line = line


def format_path(path: FieldPath) -> str:
    """`spec.playback[0].id`."""
    text = ""
    for element in path:
        text += f"[{element}]" if isinstance(element, int) else f"{'.' if text else ''}{element}"
    return text


def load(paths: Iterable[str | Path]) -> Loaded:
    """All documents of files and folders (`*.yaml`, `*.yml`, `*.json`, below them too); `-` is standard input."""
    loaded = Loaded()
    for path in paths:
        for file in _files(Path(path), loaded):
            _load_file(file, loaded)
    return loaded


def _files(path: Path, loaded: Loaded) -> Iterator[str]:
    if str(path) == STANDARD_INPUT:
        yield STANDARD_INPUT
    elif path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file() and not _hidden(p, path))
        if not found:
            loaded.problems.append(Problem(str(path), 0, "", "the folder has no *.yaml files"))
        yield from map(str, found)
    elif path.exists():
        yield str(path)
    else:
        loaded.problems.append(Problem(str(path), 0, "", "no such file or folder"))


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _load_file(file: str, loaded: Loaded) -> None:
    loaded.files.append(file)
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text()
        loader = yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader
        for node in yaml.compose_all(text, Loader=loader):
            if node is not None:
                _add(file, node, loaded)
    except _Duplicate as error:
        loaded.unreadable.add(file)
        loaded.problems.append(Problem(file, error.line, "", str(error)))
    except yaml.MarkedYAMLError as error:
        loaded.unreadable.add(file)
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, (error.context, error.problem)))
        loaded.problems.append(Problem(file, mark.line + 1 if mark else 0, "", f"not valid YAML: {reason}"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        loaded.unreadable.add(file)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        loaded.problems.append(Problem(file, 0, "", f"cannot be read: {reason}"))


def _add(file: str, node: yaml.Node, loaded: Loaded) -> None:
    lines: dict[FieldPath, int] = {}
    value = _construct(node, (), lines)
    if value is None:
        return
    if not isinstance(value, dict):
        loaded.problems.append(
            Problem(file, node.start_mark.line + 1, "", "expected an object with apiVersion and kind")
        )
        return
    if isinstance(value.get("kind"), str) and value["kind"].endswith("List") and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            if isinstance(item, dict):
                below = ("items", index)
                inner = {path[2:]: line for path, line in lines.items() if path[:2] == below}
                loaded.documents.append(Document(file, item, inner))
        return
    loaded.documents.append(Document(file, value, lines))


def _construct(node: yaml.Node, path: FieldPath, lines: dict[FieldPath, int]) -> Any:
    lines[path] = node.start_mark.line + 1
    if len(path) > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in mapping:
                raise _Duplicate(key, key_node.start_mark.line + 1)
            mapping[key] = _construct(value_node, (*path, key), lines)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*path, index), lines) for index, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    tag, text = node.tag, node.value
    if tag == "tag:yaml.org,2002:null":
        return None
    if tag == "tag:yaml.org,2002:bool":
        return text.lower() in ("true", "yes", "on")
    if tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        value = yaml.safe_load(text)
        return value if isinstance(value, int | float) else text
    return text
