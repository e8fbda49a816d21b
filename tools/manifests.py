"""What is made from the CRDs and the chart: `make manifests` writes it, tests/chart holds it.

* `charts/onair/files/crds/`: copies of `crds/`. A symbolic link would be left out by what fetches charts from Git.
* `charts/onair/README.md`: the table of values, from values.yaml and its schema.
* `deploy/kustomize/`: the chart with its default values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kubelab import binaries, shell

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "onair"
KUSTOMIZE = ROOT / "deploy" / "kustomize"
NAMESPACE = "onair-system"
CLASS_API = "onair.dev/v1alpha1/LiveStreamClass"

_TABLE = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- /values -->)", re.DOTALL)
# Of Helm alone: who else applies the manifests is not Helm.
_OF_HELM = re.compile(r"^\s*(helm\.sh/[-\w]+:|app\.kubernetes\.io/managed-by: Helm$|# Source: )")
_WRITTEN_BY = "# Written by `make manifests` from charts/onair.\n"


def expected(helm: Path) -> dict[Path, str]:
    """Every file that is made, and what has to be in it."""
    made = {CHART / "files" / "crds" / file.name: _text(file) for file in (ROOT / "crds").glob("*.yaml")}
    readme = CHART / "README.md"
    made[readme] = _TABLE.sub(lambda _: values_table(), _text(readme))
    made[KUSTOMIZE / "operator.yaml"] = _plain(render(helm, "class.create=false"))
    made[KUSTOMIZE / "class" / "class.yaml"] = _plain(render(helm, only="templates/class.yaml"))
    return made


def render(helm: Path, *values: str, only: str | None = None) -> str:
    """`helm template` as for `kubectl apply -k`: the CRDs and tests are not in it."""
    command: list[str | Path] = [helm, "template", "onair", CHART, f"--namespace={NAMESPACE}", "--skip-tests"]
    command += [f"--api-versions={CLASS_API}"]
    for value in ("image.repository=onair", "crds.enabled=false", *values):
        command += ["--set", value]
    return shell.run(*command, *(["--show-only", only] if only else []))


def values_table() -> str:
    """Markdown."""
    values = yaml.safe_load(_text(CHART / "values.yaml"))
    schema = json.loads(_text(CHART / "values.schema.json"))
    rows = [f"| `{path}` | {default} | {meaning} |\n" for path, default, meaning in _rows(schema, values, "")]
    return "| value | default | meaning |\n|---|---|---|\n" + "".join(rows)


def _rows(schema: dict[str, Any], values: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, below in schema["properties"].items():
        if name == "global":
            continue
        if "properties" in below:
            yield from _rows(below, values[name], f"{prefix}{name}.")
        else:
            default = "" if values[name] in ("", [], {}) else f"`{_shown(values[name])}`"
            yield f"{prefix}{name}", default, below["description"].replace("|", "\\|")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(rendered: str) -> str:
    kept = [line for line in rendered.splitlines() if not _OF_HELM.match(line)]
    return re.sub(r"\n{2,}", "\n", _WRITTEN_BY + "\n".join(kept) + "\n")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def main() -> None:
    """Writes what differs."""
    for file, text in expected(binaries.path("helm")).items():
        if not file.exists() or _text(file) != text:
            file.write_text(text, encoding="utf-8")
            print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
