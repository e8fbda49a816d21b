"""The first words of `onair local`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onair_core.local_state import LocalState
from onair_operator.local.addresses import Addresses, is_everywhere
from onair_operator.local.banner import print_ready


def banner(capsys: pytest.CaptureFixture[str], addresses: Addresses, *streams: dict[str, Any]) -> str:
    control: Any = SimpleNamespace(objects=SimpleNamespace(all=lambda kind: iter(streams)))
    print_ready(LocalState(Path(".onair")), addresses, control)
    return capsys.readouterr().out


def test_who_listens_on_all_interfaces_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    told = banner(capsys, Addresses("127.0.0.1", 5222, "127.0.0.1", 8080, rtmp_everywhere=True))
    assert "rtmp://127.0.0.1:5222/app (or rtmps://), listening on all interfaces\n" in told
    assert "http://127.0.0.1:8080\n" in told
    assert [is_everywhere(host) for host in ("0.0.0.0", "::", "", "127.0.0.1", "::1")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_an_empty_folder_is_said_to_serve_nothing_yet(capsys: pytest.CaptureFixture[str]) -> None:
    stream = {"metadata": {"name": "keynote", "namespace": "events"}, "status": {"playback": [{"id": "keynote-1"}]}}
    addresses = Addresses("127.0.0.1", 5222, "127.0.0.1", 8080)
    assert "Nothing is served yet" in banner(capsys, addresses)
    told = banner(capsys, addresses, stream)
    assert "Nothing is served yet" not in told
    assert "onair key keynote -n events" in told and "/watch/keynote-1" in told
