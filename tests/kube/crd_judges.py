"""What the API server says to an object, and what `onair validate` and `onair local` say to it, in the same words.

A rule's message is the same text at both. The limits of schemas are worded by Kubernetes for developers and by OnAir for
users; `_TRANSLATED` has what one is in the words of the other.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from kubelab.api import Refused
from kubelab.nodeless import ControlPlane
from onair_core.manifests import crds, validate
from onair_core.manifests.crd import API_VERSION
from onair_core.manifests.load import Document, Loaded, format_path
from onair_core.manifests.schema import problems, with_defaults

UNKNOWN = "unknown field"

Object = dict[str, Any]
Told = tuple[str, str]
"""Field and message."""


@dataclass(frozen=True)
class Verdict:
    """`made` is the object with its defaults, where nothing is wrong with it."""

    told: frozenset[Told]
    made: Object | None = None


def manifest(kind: str, spec: Any, name: str = "s", namespace: str = "default", **more: Any) -> Object:
    where = {"namespace": namespace} if crds()[kind].namespaced else {}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **where}, "spec": spec, **more}


def local(value: Object, old: Object | None = None) -> Verdict:
    if value["kind"] == "Asset":  # never written by users: the same schema, without the front door
        schema = crds()["Asset"].schema
        filled = with_defaults(value, schema)
        found = list(problems(filled, schema, old))
        return Verdict(frozenset((format_path(path), message) for path, message in found), None if found else filled)
    result = validate(Loaded(documents=[Document("f", value, {})]), lambda _: old)
    told = frozenset((problem.path, problem.message) for problem in result.problems)
    return Verdict(told, None if told else next(iter(result.manifests.values())).value)


class ApiServer:
    """Asked without anything being stored, strictly: a field that it does not know is an error, as with kubectl."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._api = control_plane.api

    def judge(self, value: Object, old: Object | None = None) -> Verdict:
        """`old` is in the API server: the question is whether it may become `value`."""
        path, asking = path_of(value), "?dryRun=All&fieldValidation=Strict"
        try:
            if old is None:
                return Verdict(frozenset(), self._api.create(path + asking, value))
            version = {"resourceVersion": old["metadata"]["resourceVersion"]}
            changed = {**value, "metadata": {**value["metadata"], **version}}
            answer = self._api.ask("PUT", f"{path}/{value['metadata']['name']}{asking}", changed)
            return Verdict(frozenset(), json.loads(answer))
        except Refused as refused:
            return Verdict(frozenset(_told(refused)))


def path_of(value: Object) -> str:
    """Of the collection that an object is in."""
    crd = crds()[value["kind"]]
    folder = f"/namespaces/{value['metadata']['namespace']}" if crd.namespaced else ""
    return f"/apis/{API_VERSION}{folder}/{crd.plural}"


def _told(refused: Refused) -> list[Told]:
    status = json.loads(refused.text)
    if unknown := re.findall(r'unknown field "([^"]+)"', status["message"]):
        return [(field, UNKNOWN) for field in unknown]
    causes = status.get("details", {}).get("causes")
    if not causes:  # not even JSON of the right shape
        return [("", status["message"])]
    return [told for cause in causes if (told := _translated(cause)) is not None]


def _translated(cause: dict[str, str]) -> Told | None:
    field, message = cause.get("field", ""), cause["message"]
    if any(words in message for words in _SAID_TWICE):
        return None
    for pattern, words in _TRANSLATED:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return field, words(found)
    # A rule's: its message stands behind the value, when that is a scalar.
    said = re.sub(r'^Invalid value: (("([^"\\]|\\.)*"|-?[0-9.e+]+|true|false): )?', "", message, count=1)
    return ("" if field == "<nil>" else field), said


_SAID_TWICE = (
    "some validation rules were not checked",
    "Checked value must be of type",
    "must validate at least one schema (anyOf)",
    "must be an object for an array of list-type map",
)
_KINDS = {
    "integer": "a whole number",
    "int32": "a whole number",
    "int64": "a whole number",
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "boolean": "a boolean",
    "integer,string": "a whole number or a string",
}
_TRANSLATED: list[tuple[str, Any]] = [
    (r"Required value", lambda m: "is required"),
    (r"Unsupported value: .*: supported values: (.*)", lambda m: f"must be one of {m[1].replace(chr(34), '')}"),
    (r"Invalid value: .* in body must be of type ([a-z0-9,]+): .*", lambda m: f"must be {_KINDS[m[1]]}"),
    (r"Invalid value: .* in body should be greater than or equal to (\S+)", lambda m: f"must be at least {m[1]}"),
    (r"Invalid value: .* in body should be less than or equal to (\S+)", lambda m: f"must be at most {m[1]}"),
    (r"Too long: may not be more than (\d+) bytes", lambda m: f"must have at most {m[1]} characters"),
    (
        r"Invalid value: .* in body should be at least (\d+) chars long",
        lambda m: f"must have at least {m[1]} characters",
    ),
    (r"Invalid value: .* in body should match '(.*)'", lambda m: f"must match {m[1]}"),
    (r"Too many: \d+: must have at most (\d+) items", lambda m: f"must have at most {m[1]} entries"),
    (r"Duplicate value: .*", lambda m: "another entry has the same"),
]


def disagreements(api_server: Verdict, here: Verdict, *, exactly: bool = True) -> list[str]:
    """What one says and the other does not. Not `exactly`: of several mistakes one has to be told by both.

    Fields that it does not know are the first thing that the API server tells, and then the only one.
    """
    if any(words == UNKNOWN for _, words in api_server.told):
        known = tuple(field for field, _ in here.told)
        return [f"only by the API server: {field}" for field, _ in api_server.told if not field.startswith(known)]
    only_here = [told for told in here.told if not any(_same(told, other) for other in api_server.told)]
    only_there = [told for told in api_server.told if not any(_same(other, told) for other in here.told)]
    if not exactly and here.told and len(only_here) < len(here.told):
        return []
    found = [f"only here: {field}: {message}" for field, message in only_here]
    found += [f"only by the API server: {field}: {message}" for field, message in only_there]
    if api_server.made and here.made and api_server.made["spec"] != here.made["spec"]:
        found.append(f"defaults: {api_server.made['spec']} != {here.made['spec']}")
    return found


def _same(here: Told, api_server: Told) -> bool:
    return here[0] == api_server[0] and here[1].startswith(api_server[1])
