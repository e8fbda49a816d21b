"""The ordered event log and webhook outbox, one per subject (DESIGN: Broadcast, epoch, sequence; Webhooks).

* `model`   what a log is and every way in which it may change: pure functions, `EventLog -> EventLog`
* `outbox`  what the webhook deliverer may do to it: cursors, failed tries, expiry, trimming; pure as well
* `store`   the small interface that keeps logs, and `update`, the only way anything writes one
* `files`   that interface over a directory (`onair local`)
"""

from onair_operator.eventlog.files import DamagedLog, FileEventLogs
from onair_operator.eventlog.model import (
    Attempt,
    Cursor,
    Entry,
    EventLog,
    JournalCursor,
    Limits,
    ObjectRef,
    Snapshot,
    Subject,
    append_journal,
    append_own,
    append_warning,
    close,
    new_log,
)
from onair_operator.eventlog.store import Conflict, EventLogStore, Versioned, update, update_existing

__all__ = [
    "Attempt",
    "Conflict",
    "Cursor",
    "DamagedLog",
    "Entry",
    "EventLog",
    "EventLogStore",
    "FileEventLogs",
    "JournalCursor",
    "Limits",
    "ObjectRef",
    "Snapshot",
    "Subject",
    "Versioned",
    "append_journal",
    "append_own",
    "append_warning",
    "close",
    "new_log",
    "update",
    "update_existing",
]
