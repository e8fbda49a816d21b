"""A store that follows the API server: one list, then a watch for as long as it goes, then from where it ended.

| what happens | what follows |
|---|---|
| the watch ends, is cut, says nothing for too long | another from the same position; ever later if they bring nothing |
| 410: the position is too old (or a list went out of date half-way) | a list, which tells what vanished meanwhile |
| 401, 403, 404 (the CRD is not there yet), 5xx | tried again for ever, ever more slowly; `trouble` says why |

`synced` is set after the first list: a reconcile before that would take what it does not know for absent. Handlers are
called at once and in order, with the store already changed; they note what to do, and do it elsewhere.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing

import structlog

from onair_core.backoff import Backoff
from onair_core.kube.client import Client, Selection
from onair_core.kube.errors import Forbidden, Gone, KubeError, Silent
from onair_core.kube.store import Change, Key, Object, Store

_log = structlog.get_logger(__name__)

# The longest is what an operator may be late by when its API server comes back.
BACKOFF = Backoff(0.2, 5.0)

Handler = Callable[[Key, Object | None, Object | None], None]


class Reflector:
    """One selection of objects, in memory, of each what `trim` leaves: all but `metadata` may go.

    `run` it as a task; everything else may be called at any time.
    """

    def __init__(
        self,
        client: Client,
        selection: Selection,
        *,
        trim: Callable[[Object], Object] = lambda found: found,
        backoff: Backoff = BACKOFF,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.selection = selection
        self.synced = asyncio.Event()
        self.trouble: str | None = None
        self.is_forbidden = False
        """Whether the trouble is that this may not be read."""
        self._client = client
        self._backoff = backoff
        self._chance = chance
        self._sleep = sleep
        self._store = Store(selection.metadata_only, trim)
        self._handlers: list[Handler] = []
        self._listed = False
        self._heard: float | None = None
        self._moved = False  # the watch brought something: a list alone is no progress when a watch cannot follow it

    def on_change(self, handler: Handler) -> None:
        """Calls `handler(key, old, new)` for each change from now on; see `store.Change`."""
        self._handlers.append(handler)

    def get(self, key: Key) -> Object | None:
        """The object as it was last heard of."""
        return self._store.get(key)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._store)

    def items(self) -> Iterator[tuple[Key, Object]]:
        return self._store.items()

    def __len__(self) -> int:
        return len(self._store)

    def learn(self, answered: Object) -> None:
        """Takes in what the API server answered to a write, so its echo is no news. It has to match the selection."""
        self._tell(self._store.learn(answered))

    def silent_for(self) -> float:
        """Seconds since the API server last said anything here (a bookmark counts); inf before the first time."""
        return float("inf") if self._heard is None else asyncio.get_running_loop().time() - self._heard

    async def run(self) -> None:
        """Follows, until it is cancelled."""
        failures = 0
        trouble: KubeError | None
        while True:
            self._moved = False
            try:
                if not self._listed:
                    await self._list()
                await self._watch()
                trouble = None
            except Silent:
                trouble = None  # the next watch shows whether there is anybody
            except Gone as error:
                self._listed, trouble = False, error
            except KubeError as error:
                trouble = error
            failures = 1 if self._moved else failures + 1
            self._note(trouble)
            await self._sleep(self._backoff.delay(failures, self._chance()))

    async def _list(self) -> None:
        begun = False
        async with aclosing(self._client.pages(self.selection)) as pages:
            async for page in pages:
                if not begun:
                    self._store.begin(int(page.resource_version))
                    begun = True
                self._tell(self._store.listed(page.items))
        self._tell(self._store.end())
        self._listed = True
        self._hear()
        self.synced.set()

    async def _watch(self) -> None:
        position = str(self._store.position)
        async with aclosing(self._client.watch(self.selection, position, opened=self._hear)) as events:
            async for event in events:
                self._hear()
                self._moved = True
                self._tell(self._store.watched(event.kind, event.object))

    def _tell(self, changes: Iterable[Change]) -> None:
        for change in changes:
            for handler in self._handlers:
                try:
                    handler(*change)
                except Exception:  # the store has to go on, whatever one of its readers does
                    _log.exception("a handler failed", resource=str(self.selection.resource), key=str(change.key))

    def _hear(self) -> None:
        self._heard = asyncio.get_running_loop().time()
        self.trouble, self.is_forbidden = None, False

    def _note(self, trouble: KubeError | None) -> None:
        """Says each trouble once, not with every try."""
        said = None if trouble is None else str(trouble)
        if said is not None and said != self.trouble and not isinstance(trouble, Gone):
            _log.warning("cannot follow, trying again", resource=str(self.selection.resource), error=said)
        self.trouble, self.is_forbidden = said, isinstance(trouble, Forbidden)
