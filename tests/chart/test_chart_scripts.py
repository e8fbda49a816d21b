"""The scripts that the chart's pods run."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from tools.manifests import CHART

HEALTH = (CHART / "files" / "check_health.py").read_text(encoding="utf-8")


@contextmanager
def operator(answer: Callable[[str], tuple[int, str]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def check(url: str, script: str = HEALTH) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, check=False, timeout=60)


def test_an_operator_that_is_well() -> None:
    with operator(lambda path: (200, "onair_queue_depth 0" if path == "/metrics" else "ok")) as url:
        done = check(url)
    assert done.returncode == 0 and done.stdout.count(": ok") == 3


def test_one_that_starts() -> None:
    asked: list[str] = []

    def answer(path: str) -> tuple[int, str]:
        asked.append(path)
        return (503, "") if asked.count("/readyz") == 1 and path == "/readyz" else (200, "onair_x 1")

    with operator(answer) as url:
        assert check(url).returncode == 0
    assert asked == ["/healthz", "/readyz", "/readyz", "/metrics"]


def test_one_that_is_not() -> None:
    assert "ENOUGH_SECONDS = 60\n" in HEALTH
    with operator(lambda path: (200, "python_info 1")) as url:
        done = check(url, HEALTH.replace("ENOUGH_SECONDS = 60\n", "ENOUGH_SECONDS = 0\n"))
    assert done.returncode == 1 and "/metrics: no metric onair_" in done.stderr
