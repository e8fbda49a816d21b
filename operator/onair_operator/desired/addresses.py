"""Where encoders publish to."""

from __future__ import annotations

from dataclasses import dataclass

from onair_operator.desired import ports
from onair_operator.desired.naming import service_name
from onair_operator.desired.provision import Provision


@dataclass(frozen=True, slots=True)
class IngestAddresses:
    """Servers as encoders ask for them, without a key; `rtmps` None: the class has no certificate."""

    service: str
    rtmp: str
    rtmps: str | None


def ingest_addresses(provision: Provision) -> IngestAddresses:
    """The class's host name, or the Service inside the cluster; both at port 5222."""
    stream = provision.stream
    host = f"{service_name(stream.name)}.{stream.namespace}.svc"
    server = f"{provision.cls.ingest.hostname or host}:{ports.RTMP}/app"
    return IngestAddresses(
        service=f"{host}:{ports.RTMP}",
        rtmp=f"rtmp://{server}",
        rtmps=f"rtmps://{server}" if provision.rtmps_secret else None,
    )
