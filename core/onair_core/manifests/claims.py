"""Playback IDs that more than one LiveStream names: each manifest is valid, but only one of them can have the ID.

The API server cannot see this either; a running OnAir says it as the condition PlaybackIdTaken.
"""

from __future__ import annotations

from collections.abc import Iterable

from onair_core.manifests.load import Problem
from onair_core.manifests.validate import Manifest


def claim_problems(manifests: Iterable[Manifest]) -> list[Problem]:
    """One for each claim after the first."""
    first: dict[str, str] = {}
    problems = []
    for manifest in manifests:
        kind, namespace, name = manifest.identity
        if kind != "LiveStream":
            continue
        for index, entry in enumerate(manifest.value["spec"].get("playback", [])):
            playback_id = entry.get("id")
            if not playback_id:
                continue
            path = ("spec", "playback", index, "id")
            if playback_id in first:
                message = f"{playback_id} is also claimed in {first[playback_id]}; only one can have it"
                problems.append(manifest.document.problem(path, message))
            else:
                lines, file = manifest.document.lines, manifest.document.file
                first[playback_id] = f"{file}:{lines.get(path, 1)} by {namespace}/{name}"
    return problems
