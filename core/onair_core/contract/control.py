"""The control port of an ingest pod (DESIGN: Outside faces): what the operator asks, and what it hears.

| request | body | answer |
|---|---|---|
| `GET /v1/events?after=EPOCH.N` | | lines of JSON, one `JournalEvent` each, without an end; header `OnAir-Config` |
| `PUT /v1/config` | `PodConfig` | `Applied` |
| `POST /v1/broadcasts/{id}/complete` | | 204; 404 when that broadcast is not open |
| `POST /v1/drain` | | `Drained` |

Each request carries `Authorization: Bearer <token>`. Whatever is asked twice does the same once. `OnAir-Config` is the
`config_hash` of the configuration in force when the answer began, absent before the first and when drained: who
connects again learns whether it has to be sent.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from onair_core.contract.config import ChannelConfig
from onair_core.contract.limits import LimitsSpec

CONFIG_PATH = "/v1/config"
EVENTS_PATH = "/v1/events"
DRAIN_PATH = "/v1/drain"
COMPLETE_PATH = "/v1/broadcasts/{id}/complete"

CONFIG_HEADER = "OnAir-Config"

# A pod that was drained takes publishers again after so long: whoever drained it may be gone.
DRAINED_SECONDS = 60.0

# An empty line comes at least this often: either side sees that the other one is gone.
SIGN_OF_LIFE_SECONDS = 10.0

_CURSOR = re.compile(r"(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,9})")


class Cursor(msgspec.Struct, frozen=True, order=True):
    """A place in a channel's journal: everything up to event `n` of `epoch` is known."""

    epoch: int = 0
    n: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises ValueError."""
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not EPOCH.N")
        return cls(int(found[1]), int(found[2]))


class ServedAsset(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that the pod serves: `store` is the URL of where it is kept, the rest as in `StoreSettings`."""

    id: str
    store: str
    playback_ids: tuple[str, ...]
    title: str = ""
    endpoint: str = ""
    region: str = ""


class OpenBroadcast(msgspec.Struct, frozen=True, kw_only=True):
    """A broadcast of a pod that is gone: what was recorded of it is in the `store` (URL), and it goes on in this one.

    Times are Unix seconds. `disconnected_at` None: its encoder was there, as far as anybody knows. `active` and
    `ready`: those events have been told, of the broadcast and of its asset.
    """

    id: str
    store: str
    started_at: float
    disconnected_at: float | None = None
    active: bool = False
    ready: bool = False


class PodConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an ingest pod has to know, always the whole of it.

    `taken`: up to where the operator has the journal in its EventLog. The pod may forget that, and begins no epoch that
    is not above it, whatever became of its volume. `resumes`: what a pod goes on with that knows of none.
    """

    channel: ChannelConfig
    title: str = ""
    assets: tuple[ServedAsset, ...] = ()
    limits: LimitsSpec = LimitsSpec()
    taken: Cursor = Cursor()
    resumes: OpenBroadcast | None = None


class Applied(msgspec.Struct, frozen=True):
    """A configuration is in force. `hash` is its `config_hash`; `problems` are sentences for people."""

    hash: str
    problems: tuple[str, ...] = ()


class Drained(msgspec.Struct, frozen=True):
    """The pod begins no broadcast until it is given a configuration again.

    `idle`: none is open, and all that happened is durable. Who has then read up to `newest`, the newest durable event,
    loses nothing with the pod.
    """

    idle: bool
    newest: Cursor


def config_hash(config: PodConfig) -> str:
    """The same for equal configurations, and only for those. What a pod is only told to begin with is no part of it."""
    bare = msgspec.structs.replace(config, taken=Cursor(), resumes=None)
    content = msgspec.json.encode(bare, order="deterministic")
    return hashlib.sha256(content).hexdigest()[:32]
