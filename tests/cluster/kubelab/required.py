"""What tests of a cluster have in common as tests: in CI none of them may skip, and a first build belongs to none."""

from __future__ import annotations

import os

import pytest

REQUIRED = os.environ.get("ONAIR_REQUIRE_CLUSTER", "") not in ("", "0")
NOT_OF_THIS_KIND = "not with this kind of cluster"


_FOLDERS = {"chart", "cluster", "kube"}


def concerns(item: pytest.Item) -> bool:
    """Whether a test is one of those that need what the cluster tool builds: the folder says so."""
    return not _FOLDERS.isdisjoint(item.path.relative_to(item.config.rootpath).parts)


def judge(report: pytest.TestReport) -> None:
    """With ONAIR_REQUIRE_CLUSTER=1 (CI), a test that skipped has failed."""
    if report.skipped and REQUIRED and NOT_OF_THIS_KIND not in (reason := str(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"ONAIR_REQUIRE_CLUSTER is set, and it skipped: {reason}"


def limit(item: pytest.Item, seconds: float = 180) -> None:
    """The test's own time is limited, that of its fixtures is not: they may build Kubernetes."""
    if item.get_closest_marker("timeout") is None:
        item.add_marker(pytest.mark.timeout(seconds, func_only=True))
