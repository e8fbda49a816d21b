"""Who may talk to an ingest pod, and whom it may talk to.

A second lock: the control port asks for its token, and everything else holds, where no policy is enforced.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from onair_operator.desired import ports
from onair_operator.desired.labels import child_metadata, stream_selector
from onair_operator.desired.naming import network_policy_name
from onair_operator.desired.provision import Provision
from onair_operator.desired.store import is_object_store

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_DNS, _HTTP, _HTTPS = 53, 80, 443
# Where clouds tell a pod its identity; the second port is that of GKE's own proxy.
_LINK_LOCAL, _METADATA = "169.254.0.0/16", (80, 988)


def network_policy(provision: Provision) -> dict[str, Any]:
    """Encoders, viewers and scrapers from anywhere, the operator alone to the control port; out to the store only."""
    stream, installation = provision.stream, provision.installation
    operator = {
        "namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: installation.namespace}},
        "podSelector": {"matchLabels": dict(installation.pod_labels)},
    }
    out = _egress(provision)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(stream, network_policy_name(stream.name)),
        "spec": {
            "podSelector": {"matchLabels": stream_selector(stream)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [_tcp(ports.RTMP), _tcp(ports.HTTP), _tcp(ports.PROBES)]},
                {"from": [operator], "ports": [_tcp(ports.CONTROL)]},
            ],
            # Not an empty list: it is not stored, so every apply of it would be a change.
            **({"egress": out} if out else {}),
        },
    }


def _egress(provision: Provision) -> list[dict[str, Any]]:
    """Nothing for a store on the volume: such a pod asks nobody anything.

    For object stores DNS and their ports, wherever they are: addresses of buckets change, and network plugins do not
    agree on whether an address block has the cluster's own pods in it. Metadata services of clouds stay closed, unless
    the pod has its identity from them.
    """
    store, assets = provision.config.channel.asset.store, provision.config.assets
    places = {(asset.store, asset.endpoint) for asset in assets} | ({(store.url, store.endpoint)} if store else set())
    wanted = sorted({_port(endpoint) for url, endpoint in places if is_object_store(url)})
    if not wanted:
        return []
    out: list[dict[str, Any]] = [{"ports": [{"protocol": "UDP", "port": _DNS}, _tcp(_DNS)]}]
    out.append({"ports": [_tcp(port) for port in wanted]})
    if provision.store_secret is None:
        out.append({"to": [{"ipBlock": {"cidr": _LINK_LOCAL}}], "ports": [_tcp(port) for port in _METADATA]})
    return out


def _port(endpoint: str) -> int:
    parts = urlsplit(endpoint)
    return parts.port or (_HTTP if parts.scheme == "http" else _HTTPS)


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
