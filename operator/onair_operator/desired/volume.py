"""The volume of journal and recordings: of the pod, or a claim that outlives it."""

from __future__ import annotations

from typing import Any

from onair_operator.desired.labels import child_metadata
from onair_operator.desired.naming import volume_claim_name
from onair_operator.desired.provision import Provision


def volume_claim(provision: Provision) -> dict[str, Any] | None:
    """The claim; None when the class keeps the volume in the pod."""
    wanted = provision.cls.ingest.volume.persistent_volume_claim
    if wanted is None:
        return None
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": wanted.size}},
    }
    if wanted.storage_class_name is not None:
        spec["storageClassName"] = wanted.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": child_metadata(provision.stream, volume_claim_name(provision.stream.name)),
        "spec": spec,
    }


def volume_source(provision: Provision) -> dict[str, Any]:
    """Where the pod's `data` volume comes from."""
    volume = provision.cls.ingest.volume
    if volume.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume_claim_name(provision.stream.name)}}
    limit = volume.empty_dir.size_limit if volume.empty_dir else None
    return {"emptyDir": {} if limit is None else {"sizeLimit": limit}}
