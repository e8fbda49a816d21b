"""Requests as the administrator: the few that fixtures need, before the client that is tested comes into it."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from kubelab.site import Site

Object = dict[str, Any]

TIMEOUT_SECONDS = 30.0
JSON = "application/json"


class Refused(Exception):
    """An answer of 400 and above; `text` is all of it, usually a Status object."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text[:500]}")
        self.code, self.text = code, text


class Api:
    """One connection for each request: whatever becomes of the API server between two of them, the next is a new one."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tls = ssl.create_default_context(cafile=site.pki / "ca.crt")
        self._tls.load_cert_chain(site.pki / "admin.crt", site.pki / "admin.key")

    def ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        content: str = JSON,
        accept: str = JSON,
        timeout: float = TIMEOUT_SECONDS,
    ) -> str:
        """The answer's text. Raises `Refused`, and `OSError` when there is no answer."""
        connection = http.client.HTTPSConnection(
            self._site.address, self._site.port, timeout=timeout, context=self._tls
        )
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": content, "Accept": accept})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise Refused(answer.status, text)
        return text

    def get(self, path: str, *, accept: str = JSON) -> Object:
        found: Object = json.loads(self.ask("GET", path, accept=accept))
        return found

    def create(self, path: str, body: Object) -> Object:
        made: Object = json.loads(self.ask("POST", path, body))
        return made

    def apply(self, path: str, body: Object) -> Object:
        """Server-side."""
        query = "?fieldManager=test&force=true"
        made: Object = json.loads(self.ask("PATCH", path + query, body, content="application/apply-patch+yaml"))
        return made
