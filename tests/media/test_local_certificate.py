"""`onair local` with a certificate that cannot be used says which file it is, and starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from onair_media.ingest.tls import self_signed
from onair_operator.verbs.local import local


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    self_signed(tmp_path)
    (tmp_path / "rtmps.key").write_bytes(content)
    (tmp_path / "manifests").mkdir()
    arguments = [tmp_path / "manifests", "--state-dir", tmp_path / "state"]
    arguments += ["--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    arguments += ["--tls-cert", tmp_path / "rtmps.crt", "--tls-key", tmp_path / "rtmps.key"]
    result = CliRunner().invoke(local, [str(argument) for argument in arguments])
    assert result.exit_code == 1
    assert result.output.startswith("Error: RTMPS: ") and "rtmps.key" in result.output
    assert "Traceback" not in result.output
