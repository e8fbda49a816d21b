"""What the operator and the ingest pods of one stream have to say to each other in a reconcile."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog

from onair_core.contract import Cursor, PodConfig, StreamRef, config_hash
from onair_core.contract.control import DRAINED_SECONDS
from onair_operator.channel import Channel, Drain
from onair_operator.decide.conditions import Verdict
from onair_operator.decide.incarnation import Broadcasting, incarnation_number
from onair_operator.decide.pods import runs, was_restarted
from onair_operator.desired import ports
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.pod import CONFIG_HASH
from onair_operator.journals import Journal
from onair_operator.observe.world import Children
from onair_operator.pods.errors import PodError
from onair_operator.pods.followers import Followers

log = structlog.get_logger(__name__)

Object = dict[str, Any]


class Conversation:
    """With the pods of all streams."""

    def __init__(self, followers: Followers) -> None:
        self._followers = followers

    def follow(self, channel: Channel, stream: StreamRef, children: Children, taken: Cursor) -> None:
        """Reads what the pods that run tell, from behind what is `taken`; of those that are gone until all is taken."""
        for pod in children.pods:
            uid = pod["metadata"]["uid"]
            if runs(pod):
                number = incarnation_number(pod)
                access = channel.access(Incarnation(stream.uid, number))
                self._followers.follow(uid, stream, (pod["status"]["podIP"], ports.CONTROL), access, taken)
                channel.followed[uid] = number
        there = {pod["metadata"]["uid"] for pod in children.pods}
        for uid in channel.followed.keys() - there:
            if not self._followers.pending(uid):
                self._leave(channel, uid)

    def leave(self, channel: Channel) -> None:
        """The stream is gone."""
        for uid in tuple(channel.followed):
            self._leave(channel, uid)

    def told(self, channel: Channel) -> list[Journal]:
        """What has been read and not taken."""
        return [
            Journal(Incarnation(channel.uid, number), events)
            for uid, number in channel.followed.items()
            if (events := self._followers.pending(uid))
        ]

    def taken(self, channel: Channel, upto: Cursor) -> None:
        """Status has it."""
        for uid in channel.followed:
            self._followers.taken(uid, upto)

    def answering(self, children: Children) -> frozenset[str]:
        """The names of the pods whose journals are being read, or which nobody has failed to reach yet."""
        return frozenset(
            pod["metadata"]["name"]
            for pod in children.pods
            if self._followers.is_connected(pod["metadata"]["uid"]) or self._is_asked(pod)
        )

    def broadcasting(self, channel: Channel, pod: Object | None, status: Object, taken: Cursor) -> Broadcasting:
        """What is known of the channel of the current pod."""
        uid = pod["metadata"]["uid"] if pod is not None else ""
        if "broadcast" in status:
            return Broadcasting.LIVE
        if not self._followers.is_connected(uid):
            return Broadcasting.ASKED if pod is not None and self._is_asked(pod) else Broadcasting.UNKNOWN
        drain = self._drain(channel, uid)
        return Broadcasting.DRAINED if drain is not None and drain.newest <= taken else Broadcasting.IDLE

    async def drain(self, channel: Channel, pod: Object) -> None:
        """It begins no broadcast any more; if one has begun meanwhile, its events will tell."""
        uid = pod["metadata"]["uid"]
        if self._drain(channel, uid) is not None:
            return
        asked_at = asyncio.get_running_loop().time()
        try:
            answer = await self._followers.client(uid).drain()
        except (PodError, KeyError) as error:
            log.info("cannot drain", pod=pod["metadata"]["name"], error=str(error))
            return
        if answer.idle:
            channel.drained[uid] = Drain(answer.newest, asked_at + DRAINED_SECONDS / 2)

    @staticmethod
    def _drain(channel: Channel, uid: str) -> Drain | None:
        """As long as the pod keeps to it for certain."""
        found = channel.drained.get(uid)
        return found if found is not None and asyncio.get_running_loop().time() < found.until else None

    async def complete(self, channel: Channel, pod: Object | None, broadcast: str | None) -> None:
        """Ends that broadcast, once."""
        uid = pod["metadata"]["uid"] if pod is not None else ""
        if broadcast is None or broadcast == channel.completed or not self._followers.is_connected(uid):
            return
        try:
            await self._followers.client(uid).complete(broadcast)
        except PodError as error:
            log.info("cannot complete", broadcast=broadcast, error=str(error))
            return
        channel.completed = broadcast

    async def configure(self, channel: Channel, pod: Object, config: PodConfig, taken: Cursor) -> Verdict | None:
        """Puts the configuration into force where it is not; why that is not so, or None.

        A verdict that does not say whether: nobody has been connected yet, and the first try has not ended.
        """
        metadata = pod["metadata"]
        uid, wanted = metadata["uid"], config_hash(config)
        if not self._followers.is_connected(uid):
            began_with = metadata.get("annotations", {}).get(CONFIG_HASH)
            if began_with == wanted and not was_restarted(pod):
                return None
            trouble = self._followers.trouble(uid)
            message = f"Pod {metadata['name']} has to be told of changes: {trouble or 'it is not connected yet'}"
            return Verdict(None if trouble is None else False, "PodNotAnswering", message)
        known = self._followers.applied(uid) == wanted and uid not in channel.drained
        if known and not channel.may_forget(taken):
            return None
        try:
            applied = await self._followers.client(uid).put(msgspec.structs.replace(config, taken=taken))
        except PodError as error:
            return Verdict(False, "PodNotAnswering", f"Pod {metadata['name']} did not take the change: {error}")
        channel.drained.pop(uid, None)
        channel.acknowledged = taken
        # Not the hash that it answers: a pod of an earlier version leaves out what it does not know.
        self._followers.note_applied(uid, wanted)
        for problem in applied.problems:
            log.warning("an ingest pod has a problem", pod=metadata["name"], problem=problem)
        return None

    def _is_asked(self, pod: Object) -> bool:
        """Whether the first try to reach it has not ended."""
        return runs(pod) and self._followers.trouble(pod["metadata"]["uid"]) is None

    def _leave(self, channel: Channel, uid: str) -> None:
        self._followers.leave(uid)
        channel.followed.pop(uid, None)
        channel.drained.pop(uid, None)
