"""The Service of a LiveStream: encoders and viewers reach the current incarnation, whatever its name."""

from __future__ import annotations

from typing import Any

from onair_operator.desired import ports
from onair_operator.desired.labels import child_metadata, incarnation_selector
from onair_operator.desired.naming import service_name
from onair_operator.desired.provision import Provision


def service(provision: Provision) -> dict[str, Any]:
    """The class says of which type it is, and with which annotations."""
    stream, exposure = provision.stream, provision.cls.ingest.service
    metadata = child_metadata(stream, service_name(stream.name))
    if exposure.annotations:
        metadata["annotations"] = dict(exposure.annotations)
    optional = {
        "externalTrafficPolicy": exposure.external_traffic_policy,
        "loadBalancerClass": exposure.load_balancer_class,
        "loadBalancerSourceRanges": list(exposure.load_balancer_source_ranges),
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": exposure.type,
            "selector": incarnation_selector(stream, provision.incarnation),
            "ports": [
                {"name": "rtmp", "port": ports.RTMP, "targetPort": "rtmp", "protocol": "TCP"},
                {"name": "http", "port": ports.HTTP, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"},
            ],
            **{name: value for name, value in optional.items() if value},
        },
    }
