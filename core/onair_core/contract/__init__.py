"""Everything the parts say to each other, defined once: pure data, no I/O (DESIGN: Parts).

* `config`  the desired state of one channel, from the control plane to an ingest pod
* `limits`  what publishers and viewers may take, from the class to whoever serves them
* `control` how the two talk: the control port of an ingest pod
* `settings` what the pod's Secret has in it
* `events`  what an ingest pod's journal tells, from the pod to the control plane
"""

from onair_core.contract.config import (
    AssetSettings,
    ChannelConfig,
    PackagingSettings,
    PlaybackEntry,
    StoreSettings,
    StreamRef,
    Takeover,
)
from onair_core.contract.control import Applied, Cursor, Drained, OpenBroadcast, PodConfig, ServedAsset, config_hash
from onair_core.contract.events import (
    BroadcastEnd,
    BroadcastRef,
    DisconnectReason,
    EventType,
    IngestProblem,
    JournalEvent,
    Phase,
)
from onair_core.contract.limits import HttpLimitsSpec, LimitsSpec

__all__ = [
    "Applied",
    "AssetSettings",
    "BroadcastEnd",
    "BroadcastRef",
    "ChannelConfig",
    "Cursor",
    "DisconnectReason",
    "Drained",
    "EventType",
    "HttpLimitsSpec",
    "IngestProblem",
    "JournalEvent",
    "LimitsSpec",
    "OpenBroadcast",
    "PackagingSettings",
    "Phase",
    "PlaybackEntry",
    "PodConfig",
    "ServedAsset",
    "StoreSettings",
    "StreamRef",
    "Takeover",
    "config_hash",
]
