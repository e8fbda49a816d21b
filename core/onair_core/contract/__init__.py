"""Everything the parts say to each other, defined once: pure data, no I/O (DESIGN: Parts).

* `config`  the desired state of one channel, from the control plane to an ingest pod
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
from onair_core.contract.events import (
    BroadcastEnd,
    BroadcastRef,
    DisconnectReason,
    EventType,
    IngestProblem,
    JournalEvent,
    Phase,
)

__all__ = [
    "AssetSettings",
    "BroadcastEnd",
    "BroadcastRef",
    "ChannelConfig",
    "DisconnectReason",
    "EventType",
    "IngestProblem",
    "JournalEvent",
    "PackagingSettings",
    "Phase",
    "PlaybackEntry",
    "StoreSettings",
    "StreamRef",
    "Takeover",
]
