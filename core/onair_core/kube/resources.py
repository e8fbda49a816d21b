"""The kinds that OnAir reads and writes, and where they are found. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version. `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Of one object, or of all in a namespace, or, without `namespace`, of all.

        Raises `ValueError` for an object of a namespaced kind without a namespace, and for what is no name.
        """
        if name is not None and self.namespaced and namespace is None:
            raise ValueError(f"{self} {name}: which namespace?")
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name))
            if subresource is not None:
                parts.append(subresource)
        return "/" + "/".join(parts)


def _segment(name: str) -> str:
    # Kubernetes has the same rule (`IsValidPathSegmentName`): a name is never a way to another object.
    if not name or name in (".", "..") or set(name) & set("/%?#") or not name.isprintable():
        raise ValueError(f"{name!r} cannot be the name of an object")
    return name


ONAIR_GROUP = "onair.dev"
ONAIR_VERSION = "v1alpha1"

LIVE_STREAMS = Resource(ONAIR_GROUP, ONAIR_VERSION, "livestreams", "LiveStream")
LIVE_STREAM_CLASSES = Resource(ONAIR_GROUP, ONAIR_VERSION, "livestreamclasses", "LiveStreamClass", namespaced=False)
ASSETS = Resource(ONAIR_GROUP, ONAIR_VERSION, "assets", "Asset")
WEBHOOK_ENDPOINTS = Resource(ONAIR_GROUP, ONAIR_VERSION, "webhookendpoints", "WebhookEndpoint")

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PODS = Resource("", "v1", "pods", "Pod")
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICES = Resource("", "v1", "services", "Service")

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
