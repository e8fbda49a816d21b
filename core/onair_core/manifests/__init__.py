"""Manifests: CRD files, schema, defaults and rules; documents with lines; typed specs."""

from onair_core.manifests.crd import API_VERSION, GROUP, Crd, crds
from onair_core.manifests.files import ManifestFiles, manifest_files
from onair_core.manifests.load import Document, Identity, Loaded, Problem, load
from onair_core.manifests.metadata import COMPLETE, DEFAULT_CLASS
from onair_core.manifests.objects import (
    LiveStreamClassSpec,
    LiveStreamSpec,
    PlaybackSpec,
    StoreSpec,
    WebhookEndpointSpec,
    spec_of,
)
from onair_core.manifests.validate import DEFAULT_NAMESPACE, Manifest, Validated, validate

__all__ = [
    "API_VERSION",
    "COMPLETE",
    "DEFAULT_CLASS",
    "DEFAULT_NAMESPACE",
    "GROUP",
    "Crd",
    "Document",
    "Identity",
    "LiveStreamClassSpec",
    "LiveStreamSpec",
    "Loaded",
    "Manifest",
    "ManifestFiles",
    "PlaybackSpec",
    "Problem",
    "StoreSpec",
    "Validated",
    "WebhookEndpointSpec",
    "crds",
    "load",
    "manifest_files",
    "spec_of",
    "validate",
]
