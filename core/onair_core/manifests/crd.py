"""The CRD files: the single source of schema, defaults and rules, here as on the API server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

GROUP = "onair.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


@dataclass(frozen=True, slots=True)
class Crd:
    """One kind. `schema` is its openAPIV3Schema."""

    kind: str
    plural: str
    namespaced: bool
    short_names: tuple[str, ...]
    schema: dict[str, Any]
    columns: tuple[dict[str, Any], ...]


def crd_folder() -> Path:
    """`crds/`: inside the installed package, or of the repository when installed in place."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "crds"
    return inside if inside.is_dir() else package.parent.parent / "crds"


@lru_cache(maxsize=1)
def crds() -> dict[str, Crd]:
    """All kinds, by name."""
    found: dict[str, Crd] = {}
    for file in sorted(crd_folder().glob("*.yaml")):
        spec = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        version = next(v for v in spec["versions"] if v["name"] == VERSION)
        names = spec["names"]
        found[names["kind"]] = Crd(
            kind=names["kind"],
            plural=names["plural"],
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames", ())),
            schema=version["schema"]["openAPIV3Schema"],
            columns=tuple(version.get("additionalPrinterColumns", ())),
        )
    if not found:
        raise FileNotFoundError(f"no CRD files in {crd_folder()}")
    return found
