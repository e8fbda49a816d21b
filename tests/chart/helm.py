"""Helm on the chart, and what it renders as objects."""

from __future__ import annotations

import subprocess
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml
from tools.manifests import CHART, CLASS_API, NAMESPACE

from kubelab import shell

Object = dict[str, Any]

VALUES = Path(__file__).parent / "values"
SETS = ("default", "everything", "minimal", "namespaced")
IMAGE = "image.repository=registry.example.com/onair"


class Helm:
    """One version of it."""

    def __init__(self, binary: Path) -> None:
        self.binary = binary

    def run(self, *words: str | Path) -> str:
        return shell.run(self.binary, *words)

    def template(self, values: str, *sets: str, first: bool = True, chart: Path = CHART) -> str:
        """`values`: a file of `values/`. `first`: into a cluster that does not know the CRDs yet."""
        words: list[str | Path] = ["template", "onair", chart, "--namespace", NAMESPACE]
        words += ["--values", VALUES / f"{values}.yaml"]
        words += [] if first else ["--api-versions", CLASS_API]
        for word in sets:
            words += ["--set", word]
        return self.run(*words)

    def objects(self, values: str, *sets: str, first: bool = True, chart: Path = CHART) -> list[Object]:
        return parsed(self.template(values, *sets, first=first, chart=chart))

    def refusal(self, *sets: str) -> str:
        """What it says to values that it does not take."""
        words = ["template", "onair", str(CHART), *(word for value in sets for word in ("--set-json", value))]
        done = subprocess.run([self.binary, *words], capture_output=True, text=True, check=False)
        assert done.returncode, "it takes them"
        return done.stderr


class _Strict(yaml.SafeLoader):
    """Helm 4 applies server-side, where a name that stands there twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(names) == len(set(names)), f"{node.start_mark}: the same key twice"
        return super().construct_mapping(node, deep=deep)


def parsed(text: str) -> list[Object]:
    """The objects of a stream of YAML documents."""
    return [document for document in yaml.load_all(text, _Strict) if document is not None]


def of_kind(objects: Sequence[Object], kind: str) -> list[Object]:
    return [thing for thing in objects if thing["kind"] == kind]


def the(objects: Sequence[Object], kind: str) -> Object:
    """The only one of that kind."""
    (found,) = of_kind(objects, kind)
    return found
