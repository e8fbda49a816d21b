"""`docs/reference.md`, written from the CRDs: `python -m onair_core.manifests.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onair_core.manifests.crd import API_VERSION, Crd, crd_folder, crds

_HEAD = """# Reference

Every field of every resource of `{version}`, made from the files in `crds/` by `make docs`.

"""
_ORDER = ("LiveStream", "LiveStreamClass", "Asset", "WebhookEndpoint")


def render() -> str:
    """The whole page."""
    known = crds()
    return _HEAD.format(version=API_VERSION) + "\n".join(_kind(known[name]) for name in _ORDER)


def _kind(crd: Crd) -> str:
    scope = "Namespaced" if crd.namespaced else "Cluster-scoped"
    short = f", short {', '.join(f'`{name}`' for name in crd.short_names)}" if crd.short_names else ""
    lines = [f"## {crd.kind}", "", f"{crd.schema['description']} {scope}{short}.", ""]
    lines += [f"Rule: {rule['message']}.\n" for rule in crd.schema.get("x-kubernetes-validations", ())]
    for part in ("spec", "status"):
        lines += [f"### {crd.kind} `{part}`", "", "| field | type | meaning |", "|---|---|---|"]
        lines += [
            f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in _fields(crd.schema["properties"][part], "")
        ]
        lines.append("")
    return "\n".join(lines)


def _fields(schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    required = set(schema.get("required", ()))
    for name, below in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, _type(below), _meaning(below, required=name in required)
        if below.get("type") == "object":
            yield from _fields(below, f"{path}.")
        elif below.get("type") == "array" and below["items"].get("type") == "object":
            yield from _fields(below["items"], f"{path}[].")


def _type(schema: dict[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    kind = schema["type"]
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return "map of strings" if schema["additionalProperties"].get("type") == "string" else "map of quantities"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind}, {low}–{high}"
    return str(kind)


def _meaning(schema: dict[str, Any], *, required: bool) -> str:
    text: str = schema["description"].rstrip(".") + "."
    if required:
        text += " **Required.**"
    if "default" in schema and schema["default"] not in ({}, []):
        text += f" Default `{_show(schema['default'])}`."
    for rule in schema.get("x-kubernetes-validations", ()):
        if "fieldPath" not in rule:
            text += f" Rule: {rule['message']}."
    return text.replace("|", "\\|").replace("\n", " ")


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_show(part)}" for name, part in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def main() -> None:
    """Writes the page."""
    target: Path = crd_folder().parent / "docs" / "reference.md"
    target.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
