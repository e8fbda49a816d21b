"""Where the API server is and what makes it listen: one login, and what can make another."""

from __future__ import annotations

import functools
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onair_core.kube.errors import LoginError


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """`server` has no slash at its end; `authorization` is the header's value, which no log may show.

    `good_for` says after how many seconds another login has to be asked for; None: when it is refused.
    """

    server: str
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    authorization: str | None = None
    proxy: str | None = None
    namespace: str = "default"
    good_for: float | None = None

    def __repr__(self) -> str:
        return f"Login({self.server})"


class Source(Protocol):
    """Makes logins."""

    async def login(self) -> Login:
        """A fresh one. Raises `LoginError`."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same login."""

    only: Login

    async def login(self) -> Login:
        return self.only


# Cached: connections are kept for each context, and a new token is no reason to leave them.
@functools.lru_cache(maxsize=4)
def tls_context(
    authority: bytes | None, certificate: bytes | None = None, key: bytes | None = None, *, verify: bool = True
) -> ssl.SSLContext:
    """Of PEM texts. Without `authority` the system's are trusted. Raises `LoginError` for what is no PEM."""
    try:
        context = ssl.create_default_context(cadata=None if authority is None else authority.decode("ascii"))
        # On since Python 3.13; authorities of real clusters lack what it asks for (EKS: the authority key identifier).
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            _load_pair(context, certificate, key or certificate)
    except (ssl.SSLError, ValueError) as error:
        raise LoginError(f"certificates that cannot be used: {error}") from error
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # OpenSSL reads them from files only; this one lives for a moment, readable by nobody else.
    with tempfile.NamedTemporaryFile() as pair:
        Path(pair.name).write_bytes(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(pair.name)
