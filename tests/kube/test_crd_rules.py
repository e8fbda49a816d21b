"""Every rule and every limit of the CRDs, on a real API server; and `onair validate` says the same, in the same place."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from crd_judges import ApiServer, disagreements, local, manifest, path_of
from crd_rules import RULES, Key
from crd_schema import KINDS, NO_LIMITS, PATTERNS, LimitCase, limit_cases, nodes, rules, text

from kubelab.nodeless import ControlPlane
from onair_core.manifests import crds

LIMITS = sorted({case.limit for case in limit_cases()})
RULE_MESSAGES = {rule.message for rule in rules()}


@pytest.fixture
def api_server(control_plane: ControlPlane, crds: None) -> ApiServer:
    return ApiServer(control_plane)


def test_every_rule_has_its_cases() -> None:
    known = [rule.key for rule in rules()]
    assert sorted(known) == sorted(RULES) and len(set(known)) == len(known)
    assert all(case.refused and case.accepted for case in RULES.values())


@pytest.mark.parametrize("key", RULES, ids=lambda key: f"{key[0]}-{key[1]}-{key[2][:30]}")
def test_a_rule_refuses_what_it_is_for_and_nothing_beside(
    key: Key, api_server: ApiServer, control_plane: ControlPlane, namespace: str
) -> None:
    kind, field, message = key
    case = RULES[key]
    old = None
    if case.old is not None:
        before = manifest(kind, case.old, namespace=namespace)
        old = control_plane.api.create(path_of(before), before)
    for refused, value in [(True, it) for it in case.refused] + [(False, it) for it in case.accepted]:
        named = {"spec": {}, "name": value} if case.names else {"spec": value}
        asked = manifest(kind, namespace=namespace, **named)
        verdict, here = api_server.judge(asked, old), local(asked, old)
        assert disagreements(verdict, here) == [], value
        told = {(re.sub(r"\[\d+\]", "[]", at), said) for at, said in verdict.told}
        assert told == ({(field, message)} if refused else set()), value


def test_every_limit_has_its_cases() -> None:
    """What is a limit in the schemas and not taken apart would not be tested."""
    found = {
        name
        for kind in KINDS
        for _, schema in nodes(crds()[kind].schema["properties"]["spec"])
        for name in set(schema) - NO_LIMITS
    }
    assert found <= set(LIMITS)
    patterns = {schema["pattern"] for kind in KINDS for _, schema in nodes(crds()[kind].schema) if "pattern" in schema}
    assert patterns == set(PATTERNS)
    assert min(Counter(case.limit for case in limit_cases()).values()) >= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_refuses_what_is_beyond_it_and_not_what_is_at_it(kind: str, limit: str, api_server: ApiServer) -> None:
    cases = [case for case in limit_cases() if (case.kind, case.limit) == (kind, limit)]
    wrong = [trouble for case in cases for trouble in troubles(case, api_server)]
    assert not wrong, "\n".join(wrong)


def troubles(case: LimitCase, api_server: ApiServer) -> list[str]:
    found = []
    for spec, broken in ((case.broken, True), (case.kept, False)):
        if spec is None and not broken:
            continue
        asked = manifest(case.kind, spec)
        verdict = api_server.judge(asked)
        found += disagreements(verdict, local(asked))
        limits = {told for told in verdict.told if told[1] not in RULE_MESSAGES}
        if bool(limits) != broken:
            found.append(f"{'not refused' if broken else 'refused'}: {sorted(limits)}")
    return [f"{text(case.path)} {case.limit}: {trouble}" for trouble in found]
