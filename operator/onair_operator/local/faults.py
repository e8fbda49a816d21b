"""What goes wrong with one object costs that object; a disk that refuses everything is for all to wait for."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import structlog

from onair_media.store import StoreError

log = structlog.get_logger(__name__)

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


def disk_refuses(error: OSError) -> bool:
    """Whether the disk, and not something about one file, is the trouble."""
    return error.errno in _DISK


class Faults:
    """Each is told when it comes and when it is over, not at every try in between."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._tried: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._told)

    @contextlib.contextmanager
    def contained(self, what: str) -> Iterator[None]:
        """Errors end here. Raises `OSError` when the disk refuses."""
        try:
            yield
        except OSError as error:
            if disk_refuses(error):
                raise
            self.note(what, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        except StoreError as error:
            self.note(what, str(error))
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            if self._told.get(what) != problem:
                log.exception("a defect, which costs this object only", object=what)
            self._told[what] = problem
            self._tried.add(what)
        else:
            self.over(what)

    def note(self, what: str, problem: str) -> None:
        """Something is wrong."""
        if self._told.get(what) != problem:
            log.error("this does not work, trying again", object=what, problem=problem)
        self._told[what] = problem
        self._tried.add(what)

    def over(self, what: str) -> None:
        """Nothing is wrong with it, or not any more."""
        if self._told.pop(what, None) is not None:
            log.info("this works again", object=what)

    def forget_the_rest(self) -> None:
        """Forgets what was not tried since the last call: there is no such thing any more."""
        self._told = {what: problem for what, problem in self._told.items() if what in self._tried}
        self._tried = set()
