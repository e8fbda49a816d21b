"""Where encoders publish to, and viewers watch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onair_core.manifests import LiveStreamClassSpec
from onair_operator.desired import ports
from onair_operator.desired.naming import service_name
from onair_operator.desired.provision import Exposure, Provision


@dataclass(frozen=True, slots=True)
class IngestAddresses:
    """Servers as encoders ask for them, without a key; `rtmps` None: the class has no certificate."""

    service: str
    rtmp: str
    rtmps: str | None


def exposure(cls: LiveStreamClassSpec, service: dict[str, Any] | None) -> Exposure | None:
    """Where the outside reaches 5222: the class's host name, else what the load balancer got. None: it does not, or
    not yet. `service`: as it is on the API server.
    """
    live: dict[str, Any] = service or {}
    port = ports.RTMP
    if cls.ingest.service.type == "NodePort":
        given = (entry.get("nodePort") for entry in live.get("spec", {}).get("ports", []) if entry["name"] == "rtmp")
        port = next(given, None) or port
    if cls.ingest.hostname:
        return Exposure(cls.ingest.hostname, port)
    if cls.ingest.service.type != "LoadBalancer":
        return None
    ingress = (live.get("status", {}).get("loadBalancer") or {}).get("ingress") or [{}]
    host = ingress[0].get("hostname") or ingress[0].get("ip")
    return Exposure(host, port) if host else None


def address_pending(cls: LiveStreamClassSpec, service: dict[str, Any] | None) -> bool:
    """Whether a load balancer is still to say where the outside reaches it."""
    return cls.ingest.service.type == "LoadBalancer" and exposure(cls, service) is None


def ingest_addresses(provision: Provision) -> IngestAddresses:
    """As the outside reaches it, else the Service inside the cluster."""
    host = _service_host(provision)
    outside = provision.exposed or Exposure(host, ports.RTMP)
    bracketed = f"[{outside.host}]" if ":" in outside.host else outside.host
    server = f"{bracketed}:{outside.port}/app"
    return IngestAddresses(
        service=f"{host}:{ports.RTMP}",
        rtmp=f"rtmp://{server}",
        rtmps=f"rtmps://{server}" if provision.rtmps_secret else None,
    )


def playback_url(provision: Provision, playback_id: str) -> str:
    """The HLS address: of the class's first host name, else of the Service inside the cluster."""
    hostnames = provision.cls.playback.hostnames
    base = f"https://{hostnames[0]}" if hostnames else f"http://{_service_host(provision)}:{ports.HTTP}"
    return f"{base}/{playback_id}.m3u8"


def _service_host(provision: Provision) -> str:
    return f"{service_name(provision.stream.name)}.{provision.stream.namespace}.svc"
