"""Manifest files to documents that remember where each field stands."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from onair_core.manifests.files import STANDARD_INPUT, manifest_files
from onair_core.manifests.nodes import MAX_BYTES, Budget, FieldPath, NodeError, compose, construct

Identity = tuple[str, str, str]
"""(kind, namespace, name); the namespace is empty for cluster-scoped kinds."""


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
    def source(self) -> str:
        """The file, wherever the process stands."""
        return absolute(self.file)

    @property
    def identity(self) -> Identity | None:
        """(kind, namespace, name) as far as the document says them; None when it does not."""
        kind, metadata = self.value.get("kind"), self.value.get("metadata")
        if not isinstance(kind, str) or not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            return None
        namespace = metadata.get("namespace")
        return kind, namespace if isinstance(namespace, str) else "", metadata["name"]


@dataclass(slots=True)
class Loaded:
    """What was read.

    `unreadable`: files and folders whose documents are unknown now; absolute.
    """

    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)


def format_path(path: FieldPath) -> str:
    """`spec.playback[0].id`."""
    text = ""
    for element in path:
        text += f"[{element}]" if isinstance(element, int) else f"{'.' if text else ''}{element}"
    return text


def absolute(file: str) -> str:
    """A path that means the same everywhere; symbolic links in it stay."""
    return file if file == STANDARD_INPUT else os.path.abspath(file)  # noqa: PTH100 - Path.resolve follows links


def load(paths: Iterable[str | Path], exclude: Collection[Path] = ()) -> Loaded:
    """All documents of files and folders; `-` is standard input. `exclude`: resolved folders that are left out."""
    loaded = Loaded()
    found = manifest_files(paths, exclude)
    for path, reason in found.unreadable:
        loaded.unreadable.add(absolute(path))
        loaded.problems.append(Problem(path, 0, "", reason))
    loaded.problems += [Problem(folder, 0, "", "the folder has no *.yaml files") for folder in found.empty]
    for file in found.files:
        _load_file(file, loaded)
    return loaded


def _load_file(file: str, loaded: Loaded) -> None:
    problem = _read_documents(file, loaded)
    if problem is not None:
        loaded.unreadable.add(absolute(file))
        loaded.problems.append(problem)


def _read_documents(file: str, loaded: Loaded) -> Problem | None:
    """What is wrong with a file as a whole."""
    budget, text = Budget(), ""
    try:
        text = _text(file)
        for node in compose(text):
            _add(file, node, budget, loaded)
    except NodeError as error:
        return Problem(file, error.line, "", str(error))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return Problem(file, mark.line + 1 if mark else 0, "", f"not valid YAML: {_what_is_wrong(text, error)}")
    except RecursionError:
        return Problem(file, 0, "", "nested too deeply")
    except MemoryError:
        return Problem(file, 0, "", "cannot be read: out of memory")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Problem(file, 0, "", f"cannot be read: {reason}")
    return None


def _what_is_wrong(text: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "tabs are not allowed, indent with spaces"  # YAML's own words never name the tab
    return " ".join(filter(None, (error.context, error.problem)))


def _text(file: str) -> str:
    if file == STANDARD_INPUT:
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES >> 20} MiB")
    return content.decode("utf-8-sig")


def _add(file: str, node: yaml.Node, budget: Budget, loaded: Loaded) -> None:
    value, lines = construct(node, budget)
    kind, items = (value.get("kind"), value.get("items")) if isinstance(value, dict) else (None, None)
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(items, list):
        _add_document(file, value, lines, (), loaded)
        return
    below: list[dict[FieldPath, int]] = [{} for _ in items]
    for path, line in lines.items():
        if path[:1] == ("items",) and len(path) > 1:
            below[int(path[1])][path[2:]] = line
    for index, item in enumerate(items):
        _add_document(file, item, below[index], ("items", index), loaded)


def _add_document(file: str, value: Any, lines: dict[FieldPath, int], path: FieldPath, loaded: Loaded) -> None:
    if isinstance(value, dict):
        loaded.documents.append(Document(file, value, lines))
        return
    loaded.unreadable.add(absolute(file))
    message = "expected an object with apiVersion and kind"
    loaded.problems.append(Problem(file, lines.get((), 1), format_path(path), message))
