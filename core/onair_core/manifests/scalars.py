"""What a plain YAML scalar means, and a mapping's key, as kubectl and Argo CD read them (sigs.k8s.io/yaml).

Neither YAML 1.1 as PyYAML has it (`12:30` is no number here) nor YAML 1.2 (`yes` is a boolean here).
"""

from __future__ import annotations

import re

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_BASED = re.compile(r"([-+]?)0(?:[xX](?P<hex>[0-9a-fA-F]+)|[oO]?(?P<oct>[0-7]+)|[bB](?P<bin>[01]+))")
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NO_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 400
_EXACT = 1 << 53


def plain(text: str) -> str | int | float | bool | None:
    """The value of a scalar without quotes and tag. Raises `ValueError` for a number that JSON cannot hold."""
    if text in _WORDS:
        return _WORDS[text]
    if not text.isascii() or len(text) > _MAX_DIGITS:
        return text
    if _NO_JSON.fullmatch(text):
        raise ValueError(f"{text} is not a number that JSON can hold")
    if text[0] not in "+-.0123456789":
        return text
    return _number(text.replace("_", ""), text)


def key(text: str) -> str:
    """A plain scalar as the name of a field. Raises `ValueError` for null."""
    value = plain(text)
    if value is None:
        raise ValueError("a key must not be null")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(digits: str, text: str) -> str | int | float:
    if based := _BASED.fullmatch(digits):
        for group, base in (("hex", 16), ("oct", 8), ("bin", 2)):
            if based[group]:
                return int(based[1] + based[group], base)
    if _DECIMAL.fullmatch(digits) and (digits.lstrip("+-")[:1] != "0" or not digits.lstrip("+-").lstrip("0")):
        return int(digits)
    if _FLOAT.fullmatch(digits):
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            return text
        # 60.0 is written as 60 into JSON.
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    return text
