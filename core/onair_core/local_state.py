"""The state folder of `onair local`, as those see it who only read: CLI verbs and the built-in encoder.

root.secret                                the installation's root secret, mode 0600
lock                                       held while a process serves this folder
endpoint.json                              where it listens, while it runs
objects/<namespace>/<kind>/<name>.yaml     every object with its status; `_cluster` for cluster-scoped kinds
eventlogs/                                 the event logs
requests/                                  what verbs ask of the running process, or of the next one
ingest/                                    journals and signs of life of the channels
recordings/                                the default store
"""

from __future__ import annotations

import base64
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from onair_core import identity

DEFAULT_STATE_DIR = Path(".onair")
CLUSTER_SCOPE = "_cluster"
# File systems take 255 bytes; what is put before and behind a name needs some of them.
_MAX_FILE_NAME = 200


class LocalStateError(Exception):
    """Something asked for is not there; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where `onair local` listens: base URLs without a slash at the end."""

    rtmp: str
    rtmps: str
    http: str


@dataclass(frozen=True, slots=True)
class LocalState:
    """Reads a state folder; nothing here writes."""

    folder: Path

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    @property
    def requests(self) -> Path:
        return self.folder / "requests"

    @property
    def event_logs(self) -> Path:
        return self.folder / "eventlogs"

    def path(self, kind: str, namespace: str, name: str) -> Path:
        return self.objects / (namespace or CLUSTER_SCOPE) / kind.lower() / f"{_file_name(name)}.yaml"

    def require(self) -> None:
        """Raises `LocalStateError` when this is no state folder."""
        if not self.objects.is_dir():
            raise LocalStateError(
                f"{self.folder} is not the state folder of an onair local (does one run here?); "
                "name it with --state-dir, or in ONAIR_STATE_DIR"
            )

    def is_running(self) -> bool:
        """Whether a process serves this folder now."""
        try:
            with (self.folder / "lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def endpoint(self) -> Endpoint:
        """Where the running process listens. Raises `LocalStateError` when none runs."""
        try:
            values = json.loads((self.folder / "endpoint.json").read_text(encoding="utf-8"))
            return Endpoint(rtmp=values["rtmp"], rtmps=values["rtmps"], http=values["http"])
        except (OSError, ValueError, KeyError) as error:
            raise LocalStateError(f"onair local is not running on {self.folder}") from error

    def read(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object with its status; None when there is none."""
        return _read(self.path(kind, namespace, name))

    def all(self, kind: str, namespace: str | None = None) -> Iterator[dict[str, Any]]:
        """The objects of a kind, by namespace and name; `namespace` None: of all."""
        for file in sorted(self.objects.glob(f"{namespace or '*'}/{kind.lower()}/*.yaml")):
            found = _read(file)
            if found is not None:
                yield found

    def stream(self, namespace: str, name: str) -> dict[str, Any]:
        """A LiveStream. Raises `LocalStateError`, which names those there are."""
        self.require()
        found = self.read("LiveStream", namespace, name)
        if found is None:
            known = [stream["metadata"]["name"] for stream in self.all("LiveStream", namespace)]
            there = f"; there are: {', '.join(known)}" if known else "; there are none"
            raise LocalStateError(f'no LiveStream "{name}" in namespace "{namespace}"{there}')
        return found

    def stream_key(self, stream: dict[str, Any]) -> str:
        """A LiveStream's key. Raises `LocalStateError` when there is none."""
        metadata = stream["metadata"]
        ref = stream.get("status", {}).get("ingest", {}).get("streamKeySecret")
        if ref is None:
            raise LocalStateError(
                f"LiveStream {metadata['name']} has no stream key yet; see onair streams {metadata['name']}"
            )
        secret = self.read("Secret", metadata["namespace"], ref["name"])
        if secret is None:
            raise LocalStateError(f"there is no Secret {ref['name']} in namespace {metadata['namespace']}")
        text = secret.get("data", {}).get(ref["key"])
        if not text:
            raise LocalStateError(f"Secret {ref['name']} holds no stream key in {ref['key']}")
        try:
            return identity.own_stream_key(base64.b64decode(text, validate=True))
        except ValueError as error:
            raise LocalStateError(f"the stream key in Secret {ref['name']} {error}") from error


def _file_name(name: str) -> str:
    """An object's name, which may be longer than a file's."""
    if len(name) <= _MAX_FILE_NAME:
        return name
    return f"{name[:_MAX_FILE_NAME]}~{sha256(name.encode()).hexdigest()[:16]}"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        value = yaml.load(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return value if isinstance(value, dict) else None
