"""Where a class's recordings go, and what opens it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onair_core.contract import StoreSettings
from onair_core.manifests import StoreSpec

_MEBIBYTE = 1024 * 1024


def store_settings(spec: StoreSpec | None, default_url: str) -> StoreSettings:
    """`default_url`: of classes that name none."""
    if spec is None:
        return StoreSettings(url=default_url)
    return StoreSettings(
        url=spec.url,
        endpoint=spec.endpoint or "",
        region=spec.region or "",
        spool_bytes=spec.spool_mebibytes * _MEBIBYTE,
    )


def is_object_store(url: str) -> bool:
    """Whether what is there outlives the pod and its volume."""
    return not url.startswith("file://")


def credentials_problem(source: Mapping[str, Any] | None, name: str) -> str | None:
    """Why a Secret cannot be the credentials of a class; None: it can."""
    if source is None:
        return f"there is no Secret {name} in OnAir's namespace"
    return None if source.get("data") else f"Secret {name} in OnAir's namespace is empty"
