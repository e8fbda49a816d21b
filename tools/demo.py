"""`make demo`: serve examples/ on this machine, push a generated stream with a real encoder, say where to look.

Everything it starts is `onair` itself, as a user would start it. State lies in `.onair/demo`; Ctrl-C stops both.
With ONAIR_DEMO_SECONDS set it stops by itself after that long.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from onair_core.local_state import LocalState

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".onair" / "demo"
ONAIR = Path(sys.executable).with_name("onair")
STREAM = "keynote"
PATIENCE_SECONDS = 60.0


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    for folder in (STATE.parent, STATE):  # keys and recordings are nobody else's
        folder.mkdir(mode=0o700, exist_ok=True)
    if LocalState(STATE).is_running():
        print("demo: a demo is running already; end it first.", file=sys.stderr)
        return 1
    log = (STATE / "demo.log").open("w", encoding="utf-8")
    server = encoder = None
    try:
        rtmp, http = _free_or_any(5222, "0.0.0.0"), _free_or_any(8080, "127.0.0.1")  # noqa: S104
        server = _start(
            log, "local", ROOT / "examples", "--state-dir", STATE,
            "--rtmp", f"0.0.0.0:{rtmp}", "--http", f"127.0.0.1:{http}",
        )  # fmt: skip
        endpoint = _await(lambda: _endpoint(server), "the server to start")
        encoder = _start(log, "push", STREAM, "--state-dir", STATE)
        playback_id = _await(_playback_id, f"LiveStream {STREAM} to be ready")
        url = f"{endpoint['http']}/{playback_id}.m3u8"
        _await(lambda: _playable(url, encoder), "the stream to become playable")
        _say(endpoint, playback_id)
        return _stay(server, encoder)
    except KeyboardInterrupt:
        return 0
    except DemoError as error:
        print(f"\ndemo: {error}\nWhat was logged: {STATE / 'demo.log'}", file=sys.stderr)
        return 1
    finally:
        for process in (encoder, server):
            _stop(process)
        print("\nStopped. The recording stays in .onair/demo; `make clean` leaves it, `rm -r .onair/demo` forgets it.")


class DemoError(Exception):
    """The demo cannot go on; the message says what was awaited."""


def _start(log: object, *arguments: object) -> subprocess.Popen[bytes]:
    command = [str(ONAIR), *map(str, arguments)]
    # A session of its own: Ctrl-C reaches this script, which stops the encoder first and then the server.
    return subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)  # type: ignore[call-overload,no-any-return]  # noqa: S603


def _await(probe, what: str):  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if result := probe():
            return result
        time.sleep(0.1)
    raise DemoError(f"waited {PATIENCE_SECONDS:.0f} s for {what}")


def _endpoint(server: subprocess.Popen[bytes]) -> dict[str, Any] | None:
    if server.poll() is not None:
        raise DemoError(f"the server ended with status {server.returncode}")
    try:
        endpoint: dict[str, Any] = json.loads((STATE / "endpoint.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return endpoint if endpoint.get("pid") == server.pid else None  # else what a killed one left behind


def _playback_id() -> str | None:
    result = subprocess.run(  # noqa: S603
        [ONAIR, "streams", STREAM, "-o", "json", "--state-dir", STATE], capture_output=True, text=True, check=False
    )
    if result.returncode:
        return None
    stream = json.loads(result.stdout)
    stream = stream[0] if isinstance(stream, list) else stream
    playback = stream.get("status", {}).get("playback") or []
    return playback[0]["id"] if playback else None


def _playable(url: str, encoder: subprocess.Popen[bytes]) -> bool:
    if encoder.poll() is not None:
        raise DemoError(f"the encoder ended with status {encoder.returncode}")
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False
    except OSError:
        return False


def _say(endpoint: dict[str, Any], playback_id: str) -> None:
    state, onair = (os.path.relpath(path, Path.cwd()) for path in (STATE, ONAIR))
    commands = (
        (f"{onair} streams", "what is live"),
        (f"{onair} events {STREAM} --follow", "what happens, as it happens"),
        (f"{onair} key radio", "server and key for OBS or ffmpeg, for another channel"),
        (
            f"$EDITOR {os.path.relpath(ROOT / 'examples' / 'livestream.yaml')}",
            "change the channel: taken up as you save",
        ),
    )
    width = max(len(command) for command, _ in commands)
    listed = "\n".join(f"      {command.ljust(width)}   {what}" for command, what in commands)
    print(f"""
  Live now. Watch it:

      {endpoint["http"]}/watch/{playback_id}

  as HLS, for ffplay, VLC or your own player:

      {endpoint["http"]}/{playback_id}.m3u8

  Next, in another terminal:

      export ONAIR_STATE_DIR={state}
{listed}

  Ctrl-C stops the demo.
""", flush=True)  # fmt: skip


def _stay(server: subprocess.Popen[bytes], encoder: subprocess.Popen[bytes]) -> int:
    limit = float(os.environ.get("ONAIR_DEMO_SECONDS") or "inf")
    ends = time.monotonic() + limit
    while time.monotonic() < ends:
        for name, process in (("server", server), ("encoder", encoder)):
            if process.poll() is not None:
                raise DemoError(f"the {name} ended with status {process.returncode}")
        time.sleep(0.2)
    return 0


def _stop(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_or_any(port: int, host: str) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            print(f"Port {port} is taken; using a free one.")
            return 0
    return port


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
