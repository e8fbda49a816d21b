"""What tells whether something rendered is the same as before.

The hash of a pod says when a new incarnation is needed; `onair_core.contract.config_hash` says when a live pod has to
be told (`PUT /v1/config`). Neither contains the other: a pod's configuration is in its Secret.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def stable_hash(rendered: Any) -> str:
    """16 hexadecimal digits; the same for equal JSON values, however their keys are ordered."""
    text = json.dumps(rendered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()[:16]
