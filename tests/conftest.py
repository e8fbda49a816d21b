"""Fixtures for tests of every kind."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from far_network import FarHost, far_host
from kubelab import binaries, required
from s3_server import S3Server

JS = Path(__file__).parent / "js"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in filter(required.concerns, items):
        required.limit(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if required.concerns(item):
        required.judge(report)
    return report


@pytest.fixture(autouse=True)
def ordinary_scheduling() -> Iterator[None]:
    """SVT-AV1 gives the process that it runs in real-time priority, as root: browsers hang that inherit it."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    yield
    if os.sched_getscheduler(0) != policy:
        os.sched_setscheduler(0, policy, parameters)


@pytest.fixture
def far() -> Iterator[FarHost]:
    """A host behind a cable that can be cut."""
    yield from far_host()


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    """A real S3 server, with a bucket `recordings`; it can be stopped, frozen and started again."""
    try:
        binary = binaries.path("versitygw")
    except binaries.NotBuilt as error:
        pytest.skip(str(error))
    server = S3Server(binary, tmp_path / "s3")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def js_packages() -> Path:
    """`tests/js` with its packages installed from the lock file: run `node` there."""
    for tool in ("npm", "node"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    lock = (JS / "package-lock.json").read_bytes()
    installed = JS / "node_modules" / ".installed"
    with (JS / ".lock").open("w") as exclusive:  # several pytest-xdist workers come here at once
        fcntl.flock(exclusive, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != lock:
            done = subprocess.run(["npm", "ci", "--no-progress"], cwd=JS, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"npm ci failed: {done.stderr.strip()[-300:]}")
            installed.write_bytes(lock)
    return JS
