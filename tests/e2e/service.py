"""`onair local` as a user runs it: a process, a folder of manifests, a state folder, and the verbs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from click.testing import CliRunner

from onair_core.local_state import Endpoint, LocalState
from onair_operator.verbs.changes import complete, rotate_key
from onair_operator.verbs.events import events
from onair_operator.verbs.streams import assets, streams

PATIENCE = 30.0
API_VERSION = "onair.dev/v1alpha1"


async def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> Any:
    """Waits for what is true in the end; returns it."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"after {patience:.0f} s still not: {what}"
        await asyncio.sleep(0.1)


class Manifests:
    """A folder of YAML that a team would keep in Git."""

    def __init__(self, folder: Path, class_spec: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        folder.mkdir()
        self._write("class", "LiveStreamClass", "standard", class_spec or {}, {"onair.dev/is-default-class": "true"})

    def stream(self, name: str, **spec: Any) -> None:
        """A LiveStream with a public playback ID; keyword arguments are fields of its spec."""
        self._write(name, "LiveStream", name, {"playback": [{"policy": "public"}], **spec})

    def webhook(self, name: str, url: str, secret: str) -> None:
        self._write(f"{name}-secret", "Secret", name, None, stringData={"secret": secret}, apiVersion="v1")
        self._write(name, "WebhookEndpoint", name, {"url": url, "secretRef": {"name": name, "key": "secret"}})

    def remove(self, name: str) -> None:
        (self.folder / f"{name}.yaml").unlink()

    def _write(
        self, file: str, kind: str, name: str, spec: Any, annotations: dict[str, str] | None = None, **more: Any
    ) -> None:
        metadata = {"name": name, **({"annotations": annotations} if annotations else {})}
        value = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, **more}
        if spec is not None:
            value["spec"] = spec
        path = self.folder / f"{file}.yaml"
        (temporary := path.with_suffix(".tmp")).write_text(yaml.safe_dump(value))
        temporary.replace(path)


class Service:
    """One installation; it may be killed and started again on the same ports."""

    def __init__(self, manifests: Manifests, folder: Path, *, rtmp_host: str = "127.0.0.1") -> None:
        self.manifests = manifests
        self._rtmp_host = rtmp_host
        self.state = LocalState(folder)
        self.log = folder.with_suffix(".log")
        self.endpoint: Endpoint | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it answers. The ports of the first start are kept."""
        ports = (
            [url.rpartition(":")[2] for url in (self.endpoint.rtmp, self.endpoint.http)]
            if self.endpoint
            else ["0", "0"]
        )
        (self.state.folder / "endpoint.json").unlink(missing_ok=True)  # of a process that was killed
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "onair_core.cli", "local", str(self.manifests.folder),
                "--state-dir", str(self.state.folder), "--rtmp", f"{self._rtmp_host}:{ports[0]}",
                "--http", f"127.0.0.1:{ports[1]}", "--allow-loopback-webhooks",
                stdout=log, stderr=log,
            )  # fmt: skip
        await until(lambda: (self.state.folder / "endpoint.json").exists() or self._died(), "onair local listens")
        self.endpoint = self.state.endpoint()
        async with aiohttp.ClientSession() as session, session.get(f"{self.endpoint.http}/healthz") as answer:
            assert answer.status == 200

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    async def close(self) -> None:
        """In order, as Ctrl-C does it."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(self._process.wait(), 15)
        except TimeoutError:
            await self.kill()
            raise AssertionError("onair local did not stop within 15 s of SIGINT") from None

    def _died(self) -> bool:
        if self._process is not None and self._process.returncode is not None:
            raise AssertionError(f"onair local ended at once:\n{self.tail()}")
        return False

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def stream(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._verb(streams, name, "-o", "json")
        return found

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.stream(name).get("status", {})
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._verb(events, name, "-o", "json")
        return found

    def types(self, name: str) -> list[str]:
        """The events' types without `video.`, from `connected` of the first broadcast on."""
        return [event["type"].removeprefix("video.").removeprefix("live_stream.") for event in self.events(name)]

    def assets(self, stream: str) -> list[dict[str, Any]]:
        """The stream's recordings, the oldest first."""
        found = [a for a in self._verb(assets, "-o", "json") if a["spec"]["liveStream"]["name"] == stream]
        return sorted(found, key=lambda asset: asset["status"].get("startedAt", ""))

    def complete(self, name: str) -> str:
        return self._run(complete, name)

    def rotate_key(self, name: str) -> str:
        return self._run(rotate_key, name)

    def key(self, name: str) -> str:
        return self.state.stream_key(self.state.stream("default", name))

    def publish_url(self, name: str, scheme: str = "rtmp", *, host: str | None = None) -> str:
        """With the key; `host`: another of this machine's addresses."""
        assert self.endpoint is not None
        base = self.endpoint.rtmps if scheme == "rtmps" else self.endpoint.rtmp
        if host is not None:
            base = f"{scheme}://{host}:{base.rpartition(':')[2]}"
        return f"{base}/app/{self.key(name)}"

    def playback_url(self, name: str) -> str:
        url: str = self.status(name)["playback"][0]["url"]
        return url

    async def provisioned(self, name: str) -> None:
        def ready() -> bool:
            stream = self.state.read("LiveStream", "default", name) or {}
            conditions = stream.get("status", {}).get("conditions", [])
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

        await until(ready, f"{name} is Ready")

    async def has(self, name: str, *types: str, patience: float = PATIENCE) -> None:
        """Waits until these events stand in the log, in this order, others between them."""

        def there() -> bool:
            seen = iter(self.types(name))
            return all(wanted in seen for wanted in types)

        try:
            await until(there, f"{name} has {types}", patience)
        except AssertionError as error:
            raise AssertionError(f"{error}; the log: {self.types(name)}") from None

    def table(self, command: Any, *arguments: str) -> str:
        return self._run(command, *arguments)

    def _verb(self, command: Any, *arguments: str) -> Any:
        return json.loads(self._run(command, *arguments))

    def _run(self, command: Any, *arguments: str) -> str:
        result = CliRunner().invoke(command, [*arguments, "--state-dir", os.fspath(self.state.folder)])
        assert result.exit_code == 0, result.output
        return result.stdout
