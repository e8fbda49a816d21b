"""The ingest pods that are followed, as reconciles see them.

All but the beginning and the end is synchronous and costs next to nothing: a reconcile says which pod it wants
followed each time that it runs, looks at what came, writes that, and says that it has taken it. `on_news` makes it run
again when there is more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import structlog

from onair_core.contract import Cursor, JournalEvent, StreamRef
from onair_operator.desired.provision import ControlAccess
from onair_operator.pods import metrics
from onair_operator.pods.client import PATIENCE, Address, Patience, PodClient, pod_session
from onair_operator.pods.follower import HABITS, Follower, Habits

_log = structlog.get_logger(__name__)

# An operator that starts connects to all its pods. More handshakes at once would only take each other's time, and
# one that waits for a pod that is gone holds up nobody.
CONNECTING_AT_ONCE = 200


@dataclass(slots=True)
class _Followed:
    stream: StreamRef
    asked: tuple[Address, str, bytes]  # the address, and of the access only what the client needs
    follower: Follower
    task: asyncio.Task[None]


class Followers:
    """Use it as an async context manager. `on_news(stream)`: a reconcile of that stream has something to see.

    Nothing but `client` minds a pod that is not followed.
    """

    def __init__(
        self,
        on_news: Callable[[StreamRef], None],
        *,
        habits: Habits = HABITS,
        patience: Patience = PATIENCE,
    ) -> None:
        self._on_news = on_news
        self._habits = habits
        self._patience = patience
        self._gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self._pods: dict[str, _Followed] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._session = pod_session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Follows nobody any more; what is pending is forgotten, the pods still have it."""
        for pod_uid in self.pods():
            self.leave(pod_uid)
        await asyncio.gather(*self._ending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def follow(self, pod_uid: str, stream: StreamRef, address: Address, access: ControlAccess, after: Cursor) -> None:
        """Reads this pod's events from behind `after`: what is up to there counts as taken.

        As often as one likes; another address (or access) connects anew and keeps what is pending.
        """
        asked = (address, access.token, access.fingerprint)
        known = self._pods.get(pod_uid)
        if known is None:
            metrics.FOLLOWED.inc()
            follower = Follower(
                f"{stream} {pod_uid}",
                self._client(address, access),
                after,
                gate=self._gate,
                habits=self._habits,
                on_news=lambda: self._news(pod_uid),
            )
            self._pods[pod_uid] = _Followed(stream, asked, follower, self._begin(follower))
            return
        known.follower.taken(after)
        if known.asked != asked:
            known.asked = asked
            known.follower.client = self._client(address, access)
            self._end(known.task)
            known.task = self._begin(known.follower, behind=known.task)

    def leave(self, pod_uid: str) -> None:
        """Follows it no longer; what is pending is forgotten."""
        known = self._pods.pop(pod_uid, None)
        if known is not None:
            metrics.FOLLOWED.dec()
            self._end(known.task)

    def pods(self) -> tuple[str, ...]:
        """The uids of those that are followed."""
        return tuple(self._pods)

    def pending(self, pod_uid: str) -> tuple[JournalEvent, ...]:
        """What was read and is not taken, oldest first."""
        known = self._pods.get(pod_uid)
        return known.follower.pending() if known is not None else ()

    def taken(self, pod_uid: str, upto: Cursor) -> None:
        """Everything up to there is in the stream's EventLog, durably."""
        if pod_uid in self._pods:
            self._pods[pod_uid].follower.taken(upto)

    def is_connected(self, pod_uid: str) -> bool:
        """Whether its events are being read at this moment."""
        return pod_uid in self._pods and self._pods[pod_uid].follower.connected

    def trouble(self, pod_uid: str) -> str | None:
        """Why they are not, for people; None before the first try has failed, too."""
        return self._pods[pod_uid].follower.trouble if pod_uid in self._pods else None

    def applied(self, pod_uid: str) -> str | None:
        """The hash of the configuration in force; None: not known, and it does no harm to send it."""
        return self._pods[pod_uid].follower.applied if pod_uid in self._pods else None

    def note_applied(self, pod_uid: str, config_hash: str) -> None:
        """The pod has answered a `put`. Forgotten with the connection: the next process may have another one."""
        if self.is_connected(pod_uid):
            self._pods[pod_uid].follower.applied = config_hash

    def client(self, pod_uid: str) -> PodClient:
        """To ask a pod that is followed; raises `KeyError` for another."""
        return self._pods[pod_uid].follower.client

    def _client(self, address: Address, access: ControlAccess) -> PodClient:
        if self._session is None:
            raise RuntimeError("followers are used as an async context manager")
        return PodClient(self._session, address, access, self._patience)

    def _begin(self, follower: Follower, *, behind: asyncio.Task[None] | None = None) -> asyncio.Task[None]:
        return asyncio.create_task(follower.run() if behind is None else _run_behind(behind, follower))

    def _end(self, task: asyncio.Task[None]) -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        task.cancel()

    def _news(self, pod_uid: str) -> None:
        known = self._pods.get(pod_uid)
        if known is None:
            return
        try:
            self._on_news(known.stream)
        except Exception:  # reading has to go on, whatever the reader does
            _log.exception("nobody was told of news", stream=str(known.stream))


async def _run_behind(behind: asyncio.Task[None], follower: Follower) -> None:
    """`behind`: what read for it before, and has to end first."""
    await asyncio.wait([behind])
    await follower.run()
