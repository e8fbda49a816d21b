"""The certificate of the RTMPS side of port 5222: from files, read again when they change, or self-signed."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

log = structlog.get_logger(__name__)

SELF_SIGNED_DAYS = 825
RETRY_SECONDS = 5.0


class CertificateError(Exception):
    """The certificate or key cannot be used; the message names the file and what is wrong."""


class TlsFiles:
    """A server context that follows its files: cert-manager and friends replace them while publishers are live.

    Raises `CertificateError` when the pair cannot be used.
    """

    def __init__(self, certificate: Path, key: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._retry_at = 0.0
        self._seen = self._stamp()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """The current context. A new pair that cannot be used is reported, the last good one kept, and tried again.

        Files are written one after the other, and may be readable for us only a moment later.
        """
        stamp = self._stamp()
        if stamp != self._seen and self._clock() >= self._retry_at:
            try:
                self._context = self._load()
            except CertificateError as error:
                self._retry_at = self._clock() + RETRY_SECONDS
                log.error("certificate not reloaded, the last good one stays", problem=str(error))
            else:
                self._seen = stamp
                log.info("certificate reloaded", file=str(self._certificate))
        return self._context

    def _stamp(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_identity_of(path) for path in (self._certificate, self._key))

    def _load(self) -> ssl.SSLContext:
        def no_password() -> str:
            # Without this OpenSSL would ask on the terminal, and wait.
            raise CertificateError(f"{self._key} is encrypted: a key without a password is needed")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        # librtmp on GnuTLS (Debian's, GStreamer's rtmpsink) takes a session ticket of TLS 1.3, which comes behind the
        # handshake, for a broken connection. An encoder connects once an hour: it misses nothing.
        context.num_tickets = 0
        try:
            context.load_cert_chain(self._certificate, self._key, password=no_password)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or getattr(error, "reason", None) or str(error)
            raise CertificateError(f"{self._certificate} with {self._key}: {reason}") from error
        return context


def self_signed(folder: Path, names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")) -> TlsFiles:
    """The pair `rtmps.crt` and `rtmps.key` (mode 0600) in `folder`; made anew unless it can be used and has time left.

    Raises `CertificateError` when it cannot be written.
    """
    certificate, key = folder / "rtmps.crt", folder / "rtmps.key"
    if _has_time_left(certificate):
        try:
            return TlsFiles(certificate, key)
        except CertificateError as error:
            log.warning("self-signed certificate made anew", problem=str(error))
    try:
        _write_self_signed(certificate, key, names)
    except OSError as error:
        raise CertificateError(f"{folder}: no certificate can be written: {error.strerror}") from error
    return TlsFiles(certificate, key)


def _identity_of(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _has_time_left(certificate: Path) -> bool:
    try:
        parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return parsed.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > datetime.timedelta(days=30)


def _write_self_signed(certificate: Path, key: Path, names: tuple[str, ...]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OnAir (self-signed)")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _replace(key, pem, 0o600)
    _replace(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """A crash in between leaves the old file, or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
