"""What the children of one LiveStream are made from: every builder of this package takes a `Provision`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onair_core.contract import PodConfig, StreamRef
from onair_core.manifests import LiveStreamClassSpec
from onair_operator.desired.naming import Incarnation


@dataclass(frozen=True, slots=True)
class Installation:
    """`namespace` and `pod_labels` are where the operator's pods are found; `image` is the operator's own."""

    namespace: str
    pod_labels: Mapping[str, str]
    image: str


@dataclass(frozen=True, slots=True)
class ControlAccess:
    """How operator and control port of an incarnation know each other (`control_access` makes them).

    `certificate` and `private_key` are PEM, `fingerprint` is the SHA-256 of the certificate's DER form.
    """

    token: str = field(repr=False)
    certificate: str
    private_key: str = field(repr=False)
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Exposure:
    """How the outside reaches a channel's 5222."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Provision:
    """One LiveStream, with all that its class says and its plan has granted.

    `config.taken` is what was taken when the incarnation began: its Secret does not change with every event.
    `generated_key` None: there is none, the key is the user's own or belongs to another stream. `rtmps_secret`: in the
    stream's namespace, with tls.crt and tls.key; None: RTMP only. `store_secret`: there, too, with credentials for the
    store; None: it needs none, or has them from elsewhere. `exposed` None: from inside the cluster only.
    """

    stream: StreamRef
    cls: LiveStreamClassSpec
    installation: Installation
    incarnation: Incarnation
    config: PodConfig
    control: ControlAccess
    generated_key: str | None = field(default=None, repr=False)
    rtmps_secret: str | None = None
    store_secret: str | None = None
    exposed: Exposure | None = None
