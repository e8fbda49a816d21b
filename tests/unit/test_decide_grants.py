"""Who has which playback ID and stream key: kept up to date claim by claim, and the same as counted anew each time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from onair_core.contract import PlaybackEntry
from onair_operator.decide.grants import Claim, Grant, Grants

IDS, KEYS, UIDS = "pqr", "xy", "12345"
RECORDED = {"r": "Asset events/keynote-1"}


def claim(uid: str, ids: Iterable[str] = (), key: str | None = None, **more: object) -> Claim:
    entries = tuple(PlaybackEntry(f"entry-{number}", found) for number, found in enumerate(ids))
    made = {"name": f"events/{uid}", "created_at": "2026-01-01T00:00:00Z", **more}
    return Claim(uid=uid, entries=entries, key=key, **made)  # type: ignore[arg-type]


claims = st.builds(
    lambda uid, ids, key, held, holds, created: claim(
        uid, ids, key, held=frozenset(held), holds_key=holds and key is not None, created_at=created
    ),
    st.sampled_from(UIDS),
    st.lists(st.sampled_from(IDS), max_size=3),
    st.sampled_from([None, *KEYS]),
    st.sets(st.sampled_from(IDS)),
    st.booleans(),
    st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]),
)


def counted_anew(claims: Mapping[str, Claim], recorded: Mapping[str, str]) -> dict[str, Grant]:
    """What everybody gets, by the rules as they are written down."""

    def holder_of_id(playback_id: str) -> str:
        rivals = [c for c in claims.values() if playback_id in c.ids]
        holding = [c for c in rivals if playback_id in c.held] or rivals
        return min(holding, key=lambda c: (c.created_at, c.name)).name

    def holder_of_key(key: str) -> str:
        rivals = [c for c in claims.values() if c.key == key]
        holding = [c for c in rivals if c.holds_key] or rivals
        return min(holding, key=lambda c: (c.created_at, c.name)).name

    made = {}
    for uid, wanted in claims.items():
        entries: list[PlaybackEntry] = []
        conflicts = []
        for entry in wanted.entries:
            holder = recorded.get(entry.id) or holder_of_id(entry.id)
            if holder != wanted.name:
                conflicts.append((entry.id, holder))
            elif entry.id in {granted.id for granted in entries}:
                conflicts.append((entry.id, f"{wanted.name}, another entry"))
            else:
                entries.append(entry)
        key_holder = None if wanted.key is None else holder_of_key(wanted.key)
        made[uid] = Grant(tuple(entries), tuple(conflicts), None if key_holder == wanted.name else key_holder)
    return made


@given(st.lists(claims | st.sampled_from(UIDS), max_size=30), st.booleans())
def test_any_order_of_claims_and_withdrawals(steps: list[Claim | str], recording: bool) -> None:
    recorded = RECORDED if recording else {}
    grants, there = Grants(recorded.get), dict[str, Claim]()
    before: dict[str, Grant] = {}
    for step in steps:
        if isinstance(step, Claim):
            there[step.uid] = step
            told, about = grants.claim(step), step.uid
        else:
            there.pop(step, None)
            told, about = grants.withdraw(step), step
        now = {uid: grants.grant(uid) for uid in there}
        assert now == counted_anew(there, recorded)
        changed = {uid for uid in before.keys() & now.keys() if before[uid] != now[uid]}
        assert changed - {about} <= told and about not in told
        before = now

        for playback_id in IDS:
            wanting = grants.claimants(playback_id)
            assert wanting == {uid for uid, wanted in there.items() if playback_id in wanted.ids}
            holding = [uid for uid in there for entry in now[uid].entries if entry.id == playback_id]
            assert len(holding) == (1 if wanting and playback_id not in recorded else 0)
        for key in KEYS:
            wanting = {uid for uid, wanted in there.items() if wanted.key == key}
            assert sum(now[uid].key_holder is None for uid in wanting) == min(len(wanting), 1)
    for uid in UIDS:
        grants.withdraw(uid)
    assert not grants._claims and not grants._by_id and not grants._by_key, "nothing is kept of who is gone"


def test_who_holds_it_keeps_it_also_against_an_older_one() -> None:
    grants = Grants()
    grants.claim(claim("1", "p", "x", held=frozenset("p"), holds_key=True, created_at="2026-02-01T00:00:00Z"))
    assert grants.claim(claim("2", "p", "x")) == {"1"}
    late = grants.grant("2")
    assert (late.entries, late.conflicts, late.key_holder) == ((), (("p", "events/1"),), "events/1")
    assert grants.withdraw("1") == {"2"}
    assert grants.grant("2") == Grant(claim("2", "p").entries)


def test_a_claim_that_says_the_same_again_concerns_nobody() -> None:
    grants = Grants()
    grants.claim(claim("1", "p"))
    grants.claim(claim("2", "p"))
    assert grants.claim(claim("1", "p")) == set()
    assert grants.claimed("1") == claim("1", "p") and grants.claimed("3") is None
