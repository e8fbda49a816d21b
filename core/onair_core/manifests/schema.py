"""Structural schemas as the API server applies them: defaults, then the shape, then the rules (CEL)."""

from __future__ import annotations

import copy
import difflib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from onair_core.manifests.nodes import FieldPath

if TYPE_CHECKING:
    import cel

Found = tuple[FieldPath, str]
_NOT_JSON_SCHEMA = ("default", "description", "format")
# What rules rely on, to the API server.
_BEFORE_RULES = frozenset(
    ["additionalProperties", "enum", "maxItems", "maxLength", "maxProperties", "required", "type"]
)
_LENGTHS = ("maxLength", "minLength")


def with_defaults(value: Any, schema: dict[str, Any]) -> Any:
    """A copy with defaults filled in, from the outside in; null counts as left out, but not in a list."""
    if isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        below = schema["additionalProperties"]
        return {name: with_defaults(part, below) for name, part in value.items() if part is not None}
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        filled = dict(value)
        for name, below in properties.items():
            if "default" in below and filled.get(name) is None:
                filled[name] = copy.deepcopy(below["default"])
            if filled.get(name) is None:
                filled.pop(name, None)
            else:
                filled[name] = with_defaults(filled[name], below)
        return filled
    if isinstance(value, list) and "items" in schema:
        return [with_defaults(item, schema["items"]) for item in value]
    return value


def problems(value: Any, schema: dict[str, Any], old: Any = None, *, rules: bool = True) -> Iterator[Found]:
    """Where a value does not have the schema's shape, or breaks one of its rules.

    `old` is what it was, for rules about changes. Where something is wrong that rules rely on, they are not applied, as
    on the API server.
    """
    errors = list(_validator()(_convert(schema)).iter_errors(value))
    for error in errors:
        if not _is_told_already(error, errors):
            yield from _explain(error)
    yield from _duplicate_list_keys(value, schema, ())
    if rules and not any(error.validator in _BEFORE_RULES for error in errors):
        yield from _rules(value, old, schema, ())


# Shape


def _is_integer(_: Any, value: Any) -> bool:
    """As the API server reads JSON: what does not fit into 64 bits is a number and no integer."""
    if isinstance(value, float):
        return value.is_integer() and abs(value) < 1 << 63
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63


@lru_cache(maxsize=1)
def _validator() -> Any:
    import jsonschema  # most of what OnAir does validates nothing

    return jsonschema.validators.extend(  # type: ignore[no-untyped-call]
        jsonschema.Draft202012Validator,
        type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
    )


def _is_told_already(error: Any, errors: list[Any]) -> bool:
    """A string of a wrong length is not held against the pattern, too."""
    return error.validator == "pattern" and any(
        other.validator in _LENGTHS and other.absolute_path == error.absolute_path for other in errors
    )


def _explain(error: Any) -> Iterator[Found]:
    path: FieldPath = tuple(error.absolute_path)
    value, expected = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for name in value:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"
                yield (*path, name), f"unknown field{hint}"
    elif error.validator == "required":
        for name in expected:
            if name not in value:
                yield (*path, name), "is required"
    elif error.validator == "enum":
        yield path, f"must be one of {', '.join(map(str, expected))}; it is {_show(value)}"
    elif error.validator == "type":
        kinds = expected if isinstance(expected, list) else [expected]
        yield path, f"must be {' or '.join(map(_article, kinds))}; it is {_show(value)}"
    elif error.validator in ("minimum", "maximum"):
        word = "at least" if error.validator == "minimum" else "at most"
        yield path, f"must be {word} {expected}; it is {_show(value)}"
    elif error.validator in ("minLength", "maxLength"):
        word = "at least" if error.validator == "minLength" else "at most"
        yield path, f"must have {word} {expected} characters; it has {len(value)}"
    elif error.validator in ("minItems", "maxItems", "minProperties", "maxProperties"):
        word = "at least" if error.validator.startswith("min") else "at most"
        yield path, f"must have {word} {expected} entries; it has {len(value)}"
    elif error.validator == "pattern":
        yield path, f"must match {error.schema['x-pattern']}; it is {_show(value)}"
    else:
        yield path, error.message


def as_python_pattern(pattern: str) -> str:
    r"""A pattern of RE2: its `$` matches at the very end, Python's also before a last newline; its `\s` is of ASCII."""
    made, escaped, in_class = [], False, False
    for c in pattern:
        if not escaped:
            in_class = c == "[" or (in_class and c != "]")
        made.append(r"\Z" if c == "$" and not escaped and not in_class else c)
        escaped = c == "\\" and not escaped
    return "(?a)" + "".join(made)


def _show(value: Any) -> str:
    if value is None:
        return "null"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _article(kind: str) -> str:
    return {"integer": "a whole number", "object": "an object", "array": "a list"}.get(kind, f"a {kind}")


def _convert(schema: dict[str, Any]) -> dict[str, Any]:
    made = {
        name: value
        for name, value in schema.items()
        if not name.startswith("x-kubernetes-") and name not in _NOT_JSON_SCHEMA
    }
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
        del made["anyOf"]  # says the same
    if "pattern" in schema:
        made |= {"pattern": as_python_pattern(schema["pattern"]), "x-pattern": schema["pattern"]}
    if "properties" in schema:
        made["properties"] = {name: _convert(below) for name, below in schema["properties"].items()}
        made["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = _convert(schema["additionalProperties"])
    if "items" in schema:
        made["items"] = _convert(schema["items"])
    return made


def _duplicate_list_keys(value: Any, schema: dict[str, Any], path: FieldPath) -> Iterator[Found]:
    if isinstance(value, dict):
        for name, below in schema.get("properties", {}).items():
            if name in value:
                yield from _duplicate_list_keys(value[name], below, (*path, name))
    elif isinstance(value, list) and "items" in schema:
        keys = schema.get("x-kubernetes-list-map-keys")
        seen: Counter[tuple[Any, ...]] = Counter()
        for index, item in enumerate(value):
            if keys and isinstance(item, dict):
                own = tuple(str(item.get(key)) for key in keys)
                if seen[own] == 1:  # told once, however many there are
                    named = ", ".join(f"{key} {part!r}" for key, part in zip(keys, own, strict=True))
                    yield (*path, index), f"another entry has the same {named}"
                seen[own] += 1
            yield from _duplicate_list_keys(item, schema["items"], (*path, index))


# Rules


def _rules(value: Any, old: Any, schema: dict[str, Any], path: FieldPath) -> Iterator[Found]:
    for rule in schema.get("x-kubernetes-validations", ()):
        expression = rule["rule"]
        changes = "oldSelf" in expression
        if changes and old is None:
            continue
        context = {"self": value, **({"oldSelf": old} if changes else {})}
        try:
            holds = _program(expression).execute(context)
        except (ValueError, TypeError, RuntimeError) as error:
            yield path, f"the rule {expression!r} cannot be applied: {error}"
            continue
        if holds is not True:
            at = tuple(part for part in rule.get("fieldPath", "").split(".") if part)
            message = rule.get("message", f"must hold: {expression}")
            yield (*path, *at), message
    if isinstance(value, dict):
        for name, below in schema.get("properties", {}).items():
            if name in value:
                before = old.get(name) if isinstance(old, dict) else None
                yield from _rules(value[name], before, below, (*path, name))
    elif isinstance(value, list) and "items" in schema:
        keys = schema.get("x-kubernetes-list-map-keys", ())
        for index, item in enumerate(value):
            before = _same_entry(item, old, keys)
            yield from _rules(item, before, schema["items"], (*path, index))


def _same_entry(item: Any, old: Any, keys: Any) -> Any:
    """What a list-map entry was before, by its keys."""
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return None
    return next((o for o in old if isinstance(o, dict) and all(o.get(k) == item.get(k) for k in keys)), None)


@lru_cache(maxsize=256)
def _program(expression: str) -> cel.Program:
    import cel

    return cel.compile(expression)
