"""Verbs over a state folder that no process serves: what they show, and how they say what is not there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from onair_core.local_state import LocalState
from onair_operator.verbs.endpoints import list_endpoints

Object = dict[str, Any]


class Folder:
    """A state folder as `onair local` left it."""

    def __init__(self, folder: Path) -> None:
        self.state = LocalState(folder)
        self.state.objects.mkdir(parents=True)

    def put(
        self, kind: str, name: str, spec: Object, status: Object, namespace: str = "default", **metadata: Any
    ) -> None:
        path = self.state.path(kind, namespace, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {"name": name, "namespace": namespace, "uid": f"uid-{name}", **metadata}
        path.write_text(yaml.safe_dump({"kind": kind, "metadata": known, "spec": spec, "status": status}))

    def run(self, command: Any, *arguments: str) -> Result:
        return CliRunner().invoke(command, [*arguments, "--state-dir", os.fspath(self.state.folder)])

    def table(self, command: Any, *arguments: str) -> list[dict[str, str]]:
        """Rows by column."""
        result = self.run(command, *arguments)
        assert result.exit_code == 0, result.output
        head, *rows = [[cell.strip() for cell in line.split("   ") if cell] for line in result.stdout.splitlines()]
        return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "state")


def conditions(status: str, reason: str, message: str = "") -> Object:
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": message}]}


# onair webhooks list


def test_an_endpoint_is_shown_with_what_waits_and_what_failed_but_not_its_url(folder: Folder) -> None:
    spec = {"url": "https://user:hush@hooks.example:8443/in?token=hush", "events": ["video.asset.*"]}
    status = conditions("False", "DeliveryFailing", "2 tries failed since the last success: HTTP 503")
    failure = {"at": "2026-01-01T00:00:00Z", "code": 503, "message": "HTTP 503"}
    folder.put("WebhookEndpoint", "my-app", spec, {**status, "pending": 7, "lastFailure": failure})
    for output in ("table", "wide"):
        result = folder.run(list_endpoints, "-o", output)
        assert "hush" not in result.output and "hooks.example:8443" in result.stdout
        assert "my-app: DeliveryFailing: 2 tries failed since the last success: HTTP 503" in result.stderr
    (row,) = folder.table(list_endpoints, "-o", "wide")
    assert (row["READY"], row["PENDING"], row["CODE"], row["SUCCESS"]) == ("no", "7", "503", "-")
    assert (row["REASON"], row["EVENTS"]) == ("DeliveryFailing", "video.asset.*")
    assert json.loads(folder.run(list_endpoints, "my-app", "-o", "json").stdout)["status"]["pending"] == 7
    assert yaml.safe_load(folder.run(list_endpoints, "-o", "yaml").stdout)[0]["spec"] == spec


def test_an_endpoint_whose_namespace_has_no_streams_is_remarked(folder: Folder) -> None:
    folder.put("WebhookEndpoint", "my-app", {"url": "http://a.example/"}, conditions("True", "Delivering"), "events")
    assert "my-app: nothing will be sent: namespace events has no LiveStream" in folder.run(list_endpoints).stderr
    folder.put("LiveStream", "a", {}, {}, "events")
    assert "nothing will be sent" not in folder.run(list_endpoints).stderr
    assert "no WebhookEndpoint" in folder.run(list_endpoints, "other").stderr
