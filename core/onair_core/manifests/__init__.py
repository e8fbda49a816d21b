"""Manifests: CRD files, schema, defaults and rules; documents with lines; typed specs."""

from onair_core.manifests.crd import API_VERSION, GROUP, Crd, crds
from onair_core.manifests.load import Document, Loaded, Problem, load
from onair_core.manifests.objects import (
    LiveStreamClassSpec,
    LiveStreamSpec,
    PlaybackSpec,
    WebhookEndpointSpec,
    spec_of,
)
from onair_core.manifests.validate import DEFAULT_NAMESPACE, Identity, Manifest, Validated, validate

__all__ = [
    "API_VERSION",
    "DEFAULT_NAMESPACE",
    "GROUP",
    "Crd",
    "Document",
    "Identity",
    "LiveStreamClassSpec",
    "LiveStreamSpec",
    "Loaded",
    "Manifest",
    "PlaybackSpec",
    "Problem",
    "Validated",
    "WebhookEndpointSpec",
    "crds",
    "load",
    "spec_of",
    "validate",
]
