"""`onair webhooks list`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from onair_core.local_state import LocalState
from onair_operator.local.bookkeeping import for_people
from onair_operator.verbs.common import (
    age,
    clear_errors,
    condition,
    note_if_stopped,
    opened,
    output_option,
    show_structured,
    show_table,
    state_dir_option,
)

_COLUMNS = ("NAMESPACE", "NAME", "READY", "PENDING", "SUCCESS", "FAILURE", "CODE", "TO", "AGE")
_WIDE = (*_COLUMNS[:-1], "REASON", "EVENTS", "AGE")


@click.command("list")
@click.argument("name", required=False)
@click.option("-n", "--namespace", help="Only this namespace; all without it, default for NAME.")
@output_option("table", "wide", "json", "yaml")
@state_dir_option
def list_endpoints(name: str | None, namespace: str | None, output: str, state_dir: Path) -> None:
    """List WebhookEndpoints, or show one.

    Tables say how many events wait, and when a delivery last succeeded and failed. Of URLs, which may hold a token,
    they show the host only.
    """
    with clear_errors():
        state = opened(state_dir)
    found = list(state.all("WebhookEndpoint", namespace or ("default" if name else None)))
    if name:
        found = [endpoint for endpoint in found if endpoint["metadata"]["name"] == name]
        if not found:
            raise click.ClickException(f'no WebhookEndpoint "{name}" in namespace "{namespace or "default"}"')
    if output in ("json", "yaml"):
        shown = [for_people(value) for value in found]
        show_structured(shown[0] if name else shown, output)
        return
    rows = [endpoint_row(endpoint, wide=output == "wide") for endpoint in found]
    show_table(_WIDE if output == "wide" else _COLUMNS, rows, "No WebhookEndpoints.")
    for endpoint in found:
        for remark in _remarks(endpoint, state):
            click.echo(f"{endpoint['metadata']['name']}: {remark}", err=True)
    note_if_stopped(state)


def endpoint_row(endpoint: dict[str, Any], *, wide: bool) -> list[object]:
    """One line of the table."""
    metadata, spec, status = endpoint["metadata"], endpoint["spec"], endpoint.get("status", {})
    ready, failure = condition(endpoint, "Ready"), status.get("lastFailure", {})
    row: list[object] = [
        metadata["namespace"],
        metadata["name"],
        ready.get("status") == "True",
        status.get("pending", 0),
        _ago(status.get("lastSuccess", {}).get("at")),
        _ago(failure.get("at")),
        failure.get("code"),
        urlsplit(spec["url"]).netloc.rpartition("@")[2],
    ]
    if wide:
        row += [ready.get("reason"), ",".join(spec.get("events", [])) or "all"]
    return [*row, age(metadata.get("creationTimestamp"))]


def _ago(at: str | None) -> str:
    return f"{age(at)} ago" if at else ""


def _remarks(endpoint: dict[str, Any], state: LocalState) -> list[str]:
    ready = condition(endpoint, "Ready")
    remarks = [f"{ready['reason']}: {ready['message']}"] if ready.get("message") else []
    namespace = endpoint["metadata"]["namespace"]
    if next(state.all("LiveStream", namespace), None) is None:
        remarks.append(f"nothing will be sent: namespace {namespace} has no LiveStream")
    return remarks
