"""LiveStreamClasses: which one is the default, and what their status says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from onair_core.contract import LimitsSpec
from onair_core.manifests import DEFAULT_CLASS, LiveStreamClassSpec, spec_of
from onair_operator.decide.conditions import Verdict, with_condition, without_condition

Object = dict[str, Any]
BUILT_IN_CLASS = "standard"
READY, DEFAULT = "Ready", "Default"


def default_class(classes: Iterable[Object]) -> str:
    """Of those that are marked the newest, of equally old ones the first by name, as with StorageClasses."""
    marked = sorted((value for value in classes if _is_marked(value)), key=_name)
    marked.sort(key=lambda value: value["metadata"].get("creationTimestamp", ""), reverse=True)
    return _name(marked[0]) if marked else BUILT_IN_CLASS


def default_limits(classes: Iterable[Object]) -> LimitsSpec:
    """The limits of the default class; the built-in ones where it says nothing."""
    known = {_name(value): value for value in classes}
    value = known.get(default_class(known.values()))
    return spec_of(value, LiveStreamClassSpec).limits if value is not None else LimitsSpec()


def secrets_of(cls: LiveStreamClassSpec) -> set[str]:
    """The names of the Secrets that it needs, in the installation's namespace."""
    names = {cls.ingest.tls.secret_name} if cls.ingest.tls is not None else set()
    if cls.store is not None and cls.store.secret_ref is not None:
        names.add(cls.store.secret_ref.name)
    return names


def store_unavailable(problem: str) -> Verdict:
    """Why a class cannot be used: nothing can be recorded."""
    return Verdict(False, "StoreUnavailable", f"Nothing can be recorded: {problem}")


def class_status(
    value: Object, classes: Mapping[str, Object], *, problem: Verdict | None, now: float
) -> dict[str, Any]:
    """`status` of a class. `problem`: why it cannot be used; `now`: Unix seconds."""
    generation = value["metadata"]["generation"]
    status = {**value.get("status", {}), "observedGeneration": generation}
    ready = problem or Verdict(True, "Usable", "Streams can be bound to this class.")
    conditions = with_condition(status.get("conditions", []), READY, ready, generation=generation, now=now)
    if _is_marked(value):
        chosen = default_class(classes.values())
        verdict = _default_verdict(_name(value), chosen, [_name(c) for c in classes.values() if _is_marked(c)])
        conditions = with_condition(conditions, DEFAULT, verdict, generation=generation, now=now)
    else:
        conditions = without_condition(conditions, DEFAULT)
    return {**status, "conditions": conditions}


def _default_verdict(name: str, chosen: str, marked: list[str]) -> Verdict:
    if name != chosen:
        return Verdict(False, "AnotherIsNewer", f"{chosen} is marked as the default, too, and newer: it is the default")
    others = ", ".join(sorted(set(marked) - {name}))
    message = f"Marked as the default, too, but older: {others}." if others else ""
    return Verdict(True, "MarkedAsDefault", message)


def _is_marked(value: Object) -> bool:
    return bool(value["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true")


def _name(value: Object) -> str:
    name: str = value["metadata"]["name"]
    return name
