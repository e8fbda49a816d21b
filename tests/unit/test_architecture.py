"""The arrows between the packages (docs/architecture.md), read from the imports themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "onair_core": ROOT / "core" / "onair_core",
    "onair_media": ROOT / "media" / "onair_media",
    "onair_operator": ROOT / "operator" / "onair_operator",
}
PURE_MEDIA = ("rtmp", "flv", "cmaf", "hls", "lifecycle")
PURE_FILES = (
    "core/onair_core/backoff.py",
    "core/onair_core/kube/errors.py",
    "core/onair_core/kube/frames.py",
    "core/onair_core/kube/resources.py",
    "core/onair_core/kube/store.py",
    "operator/onair_operator/pods/answer.py",
    "operator/onair_operator/pods/errors.py",
    "operator/onair_operator/pods/lines.py",
    "operator/onair_operator/schedule.py",
)
IO_MODULES = {"asyncio", "socket", "ssl", "aiohttp", "uvloop", "obstore", "time", "threading", "subprocess", "pathlib"}
KUBERNETES = {"kopf", "kubernetes"}


def imports(file: Path) -> set[str]:
    """Dotted names a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: imports are absolute"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files(package: str, *below: str) -> list[Path]:
    found = sorted(PACKAGES[package].joinpath(*below).rglob("*.py"))
    assert found, f"{package}/{'/'.join(below)} has no modules: this test would check nothing"
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def test_core_imports_neither_plane() -> None:
    for file in files("onair_core"):
        bad = {n for n in imports(file) if within(n, "onair_media") or within(n, "onair_operator")}
        assert not bad, f"{file}: {bad}"


def test_media_does_not_import_the_control_plane_or_kubernetes() -> None:
    for file in files("onair_media"):
        bad = {n for n in imports(file) if within(n, "onair_operator") or n.split(".")[0] in KUBERNETES}
        assert not bad, f"{file}: {bad}"


def test_only_local_imports_media_in_the_control_plane() -> None:
    for file in files("onair_operator"):
        if PACKAGES["onair_operator"] / "local" in file.parents:
            continue
        bad = {n for n in imports(file) if within(n, "onair_media")}
        assert not bad, f"{file}: {bad}"


@pytest.mark.parametrize("part", PURE_MEDIA)
def test_pure_media_parts_do_no_io(part: str) -> None:
    for file in files("onair_media", part):
        bad = {n for n in imports(file) if n.split(".")[0] in IO_MODULES}
        assert not bad, f"{file}: {bad}"


@pytest.mark.parametrize("file", PURE_FILES, ids=str)
def test_pure_files_do_no_io(file: str) -> None:
    bad = {n for n in imports(ROOT / file) if n.split(".")[0] in IO_MODULES}
    assert not bad, f"{file}: {bad}"


@pytest.mark.parametrize("part", PURE_MEDIA)
def test_pure_media_parts_do_not_know_their_users(part: str) -> None:
    users = ("ingest", "playback", "recording", "store", "push", "edge", "player")
    for file in files("onair_media", part):
        bad = {n for n in imports(file) if any(within(n, f"onair_media.{user}") for user in users)}
        assert not bad, f"{file}: {bad}"


@pytest.mark.parametrize("part", ["desired", "decide"])
def test_what_is_wanted_and_decided_is_pure(part: str) -> None:
    for file in files("onair_operator", part):
        bad = {n for n in imports(file) if n.split(".")[0] in IO_MODULES | KUBERNETES}
        assert not bad, f"{file}: {bad}"


def test_no_package_shadows_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_modules_stay_small() -> None:
    """A file past this has a second job in it (CONTRIBUTING.md)."""
    long = {
        str(file.relative_to(ROOT)): lines
        for package in PACKAGES
        for file in files(package)
        if (lines := len(file.read_text().splitlines())) > 450
    }
    assert not long
