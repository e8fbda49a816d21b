"""What the operator writes, as the API server's audit log has it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

VERBS = ("create", "update", "patch", "delete", "deletecollection")


class Writes:
    """Of one user, since the last time that somebody asked. Its Lease does not count."""

    def __init__(self, log: Path, user: str) -> None:
        self._log, self._user = log, user
        self._read = 0

    def since(self) -> Counter[str]:
        """How many by verb and resource; refused ones end in their code."""
        found: Counter[str] = Counter()
        named = json.dumps(self._user).encode()
        with self._log.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):  # half written
                    break
                self._read += len(line)
                if named in line and (write := self._write(json.loads(line))) is not None:
                    found[write] += 1
        return found

    def _write(self, event: dict) -> str | None:
        what = event.get("objectRef") or {}
        if event["user"]["username"] != self._user or event["verb"] not in VERBS or what.get("resource") == "leases":
            return None
        resource = "/".join(filter(None, (what.get("resource"), what.get("subresource"))))
        code = event["responseStatus"]["code"]
        return f"{event['verb']} {resource}" + (f" ({code})" if code >= 400 else "")
