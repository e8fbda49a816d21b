"""Kubernetes' own validation takes the CRD files: the check that an API server makes when one is applied."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from onair_core.manifests.crd import crd_folder

HERE = Path(__file__).parent
CHECK = HERE.parents[1] / ".cache" / "crdcheck"
FILES = sorted(crd_folder().glob("*.yaml"))

# The first build compiles the API server's packages.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="session")
def crdcheck() -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs go")
    fetched = subprocess.run([go, "mod", "download"], cwd=HERE, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"the Go modules cannot be fetched: {fetched.stderr.strip()[-300:]}")
    built = subprocess.run(
        [go, "build", "-buildvcs=false", "-o", str(CHECK), "."], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return CHECK


def check(crdcheck: Path, *files: Path) -> str:
    return subprocess.run([crdcheck, *files], capture_output=True, text=True, check=False).stdout


def test_the_api_server_takes_every_crd(crdcheck: Path) -> None:
    assert len(FILES) >= 4 and check(crdcheck, *FILES) == ""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("metadata: {type: object}", "metadata: {type: object, description: x}", "metadata"),
        ("description: What the channel shall be.", "descripton: What the channel shall be.", "unknown field"),
        ("self.latencyMode == 'standard'", "self.latency == 'standard'", "undefined field"),
    ],
)
def test_what_it_would_refuse_is_told(crdcheck: Path, tmp_path: Path, old: str, new: str, told: str) -> None:
    (stream,) = (file for file in FILES if file.name.startswith("livestreams"))
    text = stream.read_text(encoding="utf-8")
    assert old in text
    changed = tmp_path / stream.name
    changed.write_text(text.replace(old, new), encoding="utf-8")
    assert told in check(crdcheck, changed)
