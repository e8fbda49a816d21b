"""Who may have which playback ID and stream key: unique among everything this installation serves. Pure.

Who holds an ID or a key, as status records, keeps it; else the oldest claim gets it, of equally old ones the first by
name. `Grants` is kept up to date claim by claim: a question costs what the claims in question cost, not all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from onair_core.contract import PlaybackEntry


@dataclass(frozen=True, slots=True)
class Claim:
    """What one LiveStream asks for.

    `key`: the fingerprint of its stream key; None: it asks for none. `held`: playback IDs that its status records;
    `holds_key`: so is its key. `created_at` and `name` sort.
    """

    uid: str
    name: str
    created_at: str
    entries: tuple[PlaybackEntry, ...]
    key: str | None = None
    held: frozenset[str] = frozenset()
    holds_key: bool = False

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(entry.id for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Grant:
    """What it gets. `conflicts`: (playback ID, its holder's name); `key_holder`: who has the key that it asked for."""

    entries: tuple[PlaybackEntry, ...]
    conflicts: tuple[tuple[str, str], ...] = ()
    key_holder: str | None = None


@dataclass(slots=True)
class Grants:
    """`recording(id)` names the recording that has a playback ID: no stream gets it."""

    recording: Callable[[str], str | None] = lambda _: None
    _claims: dict[str, Claim] = field(default_factory=dict)
    _by_id: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _by_key: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def claim(self, claim: Claim) -> set[str]:
        """In place of what this stream claimed before. The uids of others whose grant may be another one now."""
        before = self._claims.get(claim.uid)
        if before == claim:
            return set()
        rivals = self._rivals(before) | self._rivals(claim)
        if before is not None:
            self._remove(before)
        self._claims[claim.uid] = claim
        for playback_id in claim.ids:
            self._by_id[playback_id].add(claim.uid)
        if claim.key is not None:
            self._by_key[claim.key].add(claim.uid)
        return rivals - {claim.uid}

    def withdraw(self, uid: str) -> set[str]:
        """A stream that is gone. The uids of others who may get what it had."""
        before = self._claims.get(uid)
        if before is None:
            return set()
        rivals = self._rivals(before)
        self._remove(before)
        return rivals - {uid}

    def claimed(self, uid: str) -> Claim | None:
        """What a stream asks for."""
        return self._claims.get(uid)

    def claimants(self, playback_id: str) -> set[str]:
        """The uids of those that ask for an ID."""
        return set(self._by_id.get(playback_id, ()))

    def grant(self, uid: str) -> Grant:
        """For a stream that has claimed."""
        claim = self._claims[uid]
        entries, conflicts, seen = [], [], set()
        for entry in claim.entries:
            holder = self.recording(entry.id) or self._holder_of_id(entry.id, claim)
            if holder is not None:
                conflicts.append((entry.id, holder))
            elif entry.id in seen:
                conflicts.append((entry.id, f"{claim.name}, another entry"))
            else:
                entries.append(entry)
                seen.add(entry.id)
        return Grant(tuple(entries), tuple(conflicts), self._holder_of_key(claim))

    def _holder_of_id(self, playback_id: str, claim: Claim) -> str | None:
        """None: it is `claim` itself."""
        rivals = (self._claims[uid] for uid in self._by_id[playback_id])
        first = min(rivals, key=lambda c: (playback_id not in c.held, c.created_at, c.name))
        return None if first is claim else first.name

    def _holder_of_key(self, claim: Claim) -> str | None:
        if claim.key is None:
            return None
        rivals = (self._claims[uid] for uid in self._by_key[claim.key])
        first = min(rivals, key=lambda c: (not c.holds_key, c.created_at, c.name))
        return None if first is claim else first.name

    def _rivals(self, claim: Claim | None) -> set[str]:
        return set().union(*self._claimed_by(claim)) if claim is not None else set()

    def _claimed_by(self, claim: Claim) -> Iterator[set[str]]:
        yield from (self._by_id.get(playback_id, set()) for playback_id in claim.ids)
        if claim.key is not None:
            yield self._by_key.get(claim.key, set())

    def _remove(self, claim: Claim) -> None:
        del self._claims[claim.uid]
        for playback_id in claim.ids:
            _discard(self._by_id, playback_id, claim.uid)
        if claim.key is not None:
            _discard(self._by_key, claim.key, claim.uid)


def _discard(index: defaultdict[str, set[str]], name: str, uid: str) -> None:
    index[name].discard(uid)
    if not index[name]:
        del index[name]
