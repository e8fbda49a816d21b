"""Which events an endpoint wants: patterns over event types, label selectors over their subjects. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec


class Operator(StrEnum):
    """The operators of a Kubernetes label selector's `matchExpressions`."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(msgspec.Struct, frozen=True):
    """One entry of `matchExpressions`."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """As Kubernetes judges it: `NotIn` also holds for an object without the label."""
        match self.operator:
            case Operator.IN:
                return self.key in labels and labels[self.key] in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


class LabelSelector(msgspec.Struct, frozen=True, rename="camel"):
    """A Kubernetes `LabelSelector`: all of it has to hold; an empty one matches everything."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )


def wants(patterns: Iterable[str], event_type: str) -> bool:
    """Whether an event of this type is wanted: `*` stands for anything (`video.asset.*`); no patterns: all
    are.
    """
    patterns = tuple(patterns)
    return not patterns or any(fnmatchcase(event_type, pattern) for pattern in patterns)
