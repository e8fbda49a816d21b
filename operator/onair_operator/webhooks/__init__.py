"""Webhooks: Mux's envelope and signature, delivered from event logs (DESIGN: Webhooks).

* `resources`, `payload`, `signature`  what is sent
* `filters`, `endpoint`                to whom
* `schedule`, `attempt`, `settings`    when, and what an outcome leads to
* `policy`, `resolver`, `outbound`     where it may go, and the request itself
* `delivery`, `known`, `metrics`       the workers that bring the others together, and what they tell
* `receive`, `commands`                `onair webhooks listen`: the other end, for trying things out
"""

from onair_operator.webhooks.delivery import Deliverer
from onair_operator.webhooks.endpoint import Endpoint, EndpointStatus, Failure
from onair_operator.webhooks.filters import LabelSelector, Requirement
from onair_operator.webhooks.payload import Environment
from onair_operator.webhooks.policy import OutboundPolicy
from onair_operator.webhooks.resources import snapshot
from onair_operator.webhooks.settings import DeliverySettings

__all__ = [
    "Deliverer",
    "DeliverySettings",
    "Endpoint",
    "EndpointStatus",
    "Environment",
    "Failure",
    "LabelSelector",
    "OutboundPolicy",
    "Requirement",
    "snapshot",
]
