"""What keeps `onair local` from starting is told with what to do about it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("taken", ["--rtmp", "--http"])
def test_a_port_in_use_is_told_with_the_option_that_takes_another(tmp_path: Path, taken: str) -> None:
    other = "--http" if taken == "--rtmp" else "--rtmp"
    (tmp_path / "m").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "onair_core.cli", "local", str(tmp_path / "m")),
                *("--state-dir", str(tmp_path / "s"), taken, f"127.0.0.1:{port}", other, "127.0.0.1:0"),
            ],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"on 127.0.0.1:{port}: Address already in use; another one: {taken} HOST:PORT" in done.stderr
