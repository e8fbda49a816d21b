"""What of valid manifests has no meaning without a cluster, told instead of ignored (docs/decisions/012). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from onair_core.manifests import LiveStreamClassSpec, Manifest, Problem, spec_of

_CLUSTER_ONLY = ("image", "tls", "service", "volume", "pod")
_REASON = "is for clusters and not applied here: without a cluster there are no pods, volumes and Services"


def unapplied_fields(manifests: Iterable[Manifest]) -> list[Problem]:
    """Each with file and line; the objects count all the same."""
    problems: list[Problem] = []
    for manifest in manifests:
        if manifest.identity[0] != "LiveStreamClass":
            continue
        given = spec_of(manifest.value, LiveStreamClassSpec).ingest
        usual = LiveStreamClassSpec().ingest
        problems += [
            manifest.document.problem(("spec", "ingest", name), _REASON)
            for name in _CLUSTER_ONLY
            if getattr(given, name) != getattr(usual, name)
        ]
    return problems
