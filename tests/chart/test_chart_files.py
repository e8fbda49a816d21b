"""What lies in charts/onair and deploy/kustomize: nothing of it says another thing than its source."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from helm import IMAGE, VALUES, Helm, of_kind
from tools import manifests

CHART, ROOT = manifests.CHART, manifests.ROOT
CRDS = sorted((ROOT / "crds").glob("*.yaml"))


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        below = leaves(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
        found |= below
    return found


def test_what_is_made_is_as_it_would_be_made_now(helm: Helm) -> None:
    stale = [
        str(file.relative_to(ROOT))
        for file, text in manifests.expected(helm.binary).items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    assert not stale, "make manifests"


def test_no_crd_is_left_over() -> None:
    copies = CHART / "files" / "crds"
    assert {file.name for file in copies.glob("*.onair.dev.yaml")} == {file.name for file in CRDS}
    assert yaml.safe_load((copies / "kustomization.yaml").read_text())["resources"] == [file.name for file in CRDS]


def test_versions_follow_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == project
    assert chart["version"] == re.sub(r"\.dev(\d+)$", r"-dev.\1", project)


def test_the_schema_knows_each_value_and_says_what_it_means() -> None:
    def described(schema: dict[str, Any], path: str) -> None:
        assert schema["description"].endswith("."), path
        for name, below in schema.get("properties", {}).items():
            described(below, f"{path}.{name}")

    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    described(schema, "values")
    rows = set(re.findall(r"^\| `([\w.]+)` \|", manifests.values_table(), re.MULTILINE))
    values = leaves(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
    assert {row for row in rows if not any(value == row or value.startswith(f"{row}.") for value in values)} == set()
    assert {value for value in values if not any(value == row or value.startswith(f"{row}.") for row in rows)} == set()


def test_a_value_file_of_these_tests_has_everything_set() -> None:
    default = leaves(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
    everything = leaves(yaml.safe_load((VALUES / "everything.yaml").read_text(encoding="utf-8")))
    same = {name for name, value in everything.items() if default.get(name, "") == value}
    booleans = {name for name, value in default.items() if value is True} | {"watchNamespaces"}
    unset = {name for name in default if not any(own.startswith(name) for own in everything)}
    assert (same | unset) - booleans == set()


def test_helm_finds_nothing_to_complain_about(any_helm: Helm) -> None:
    for name in ("default", "everything", "namespaced", "minimal"):
        any_helm.run("lint", "--strict", CHART, "--values", VALUES / f"{name}.yaml")


def test_a_package_installs_the_same_as_the_folder(any_helm: Helm, tmp_path: Path) -> None:
    any_helm.run("package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.glob("onair-*.tgz")
    packed = any_helm.objects("default", chart=package)
    assert len(of_kind(packed, "CustomResourceDefinition")) == len(CRDS)
    assert packed == any_helm.objects("default")


def test_notes_name_what_the_release_has(helm: Helm) -> None:
    def notes(*sets: str) -> str:
        words = [word for value in (IMAGE, *sets) for word in ("--set", value)]
        said = helm.run("install", "onair", CHART, "--namespace", "tv", "--dry-run=client", *words)
        return said.partition("\nNOTES:\n")[2]

    plain, other = (
        notes(),
        notes("class.name=own", "class.default=false", "watchNamespaces={events}", "rootSecret.name=r"),
    )
    assert "className" not in plain and "-n default livestream/keynote" in plain and "-n tv onair-root" in plain
    assert "className: own" in other and "-n events livestream/keynote" in other and "-n tv r -o" in other
    assert "class.create=false" in notes("class.create=false")
