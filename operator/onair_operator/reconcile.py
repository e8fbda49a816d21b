"""One LiveStream made what it should be. `StreamReconciler.reconcile` is the table of contents.

Level-triggered: it looks at what there is, and not at what has changed; run twice, it does nothing the second time.
What it remembers between runs (`Channel`) can be lost with the process without harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from onair_core.contract import Cursor, config_hash
from onair_core.kube.errors import ApiError, Forbidden, Invalid, NotFound
from onair_core.kube.resources import LIVE_STREAMS
from onair_core.kube.store import Key
from onair_core.manifests import COMPLETE
from onair_operator.apply.children import apply_children, create_pod, prune, remove_pods
from onair_operator.apply.writer import NotOurs, StillLeaving, Writer
from onair_operator.decide.conditions import Verdict
from onair_operator.decide.incarnation import (
    Broadcasting,
    Decision,
    Step,
    decide_incarnation,
    incarnation_number,
    update_pending,
)
from onair_operator.decide.plan import Plan, draft, finish
from onair_operator.decide.pods import pod_verdict, runs, was_restarted
from onair_operator.decide.readiness import own_part, verdicts, with_verdicts
from onair_operator.decide.stream_status import configured_status
from onair_operator.decide.told import taken_by
from onair_operator.desired.addresses import address_pending, ingest_addresses, playback_url
from onair_operator.desired.control_access import control_access
from onair_operator.desired.naming import Incarnation, service_name
from onair_operator.desired.pod import CONFIG_HASH, DEFAULT_STORE, pod_hash
from onair_operator.desired.provision import Installation, Provision
from onair_operator.desired.secrets import certificate_problem
from onair_operator.journals import Journals
from onair_operator.observe.secrets import SecretReader
from onair_operator.observe.world import Children, World
from onair_operator.pods import Followers, PodError
from onair_operator.provide import provision_of, with_incarnation

log = structlog.get_logger(__name__)

Object = dict[str, Any]

# What nobody tells of when it changes is looked at again after so many seconds.
REFUSED_SECONDS = 30.0
LEAVING_SECONDS = 2.0
NOT_ANSWERING_SECONDS = 5.0
