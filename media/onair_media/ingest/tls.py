"""The certificate of the RTMPS side of port 5222: from files, read again when they change, or self-signed."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

log = structlog.get_logger(__name__)

SELF_SIGNED_DAYS = 825


class CertificateError(Exception):
    """The certificate or key cannot be used; the message names the file and what is wrong."""


class TlsFiles:
    """A server context that follows its files: cert-manager and friends replace them while publishers are live."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = self._stamp()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """The current context. A new pair that cannot be read is reported and the last good one kept."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._context = self._load()
                log.info("certificate reloaded", file=str(self._certificate))
            except CertificateError as error:
                log.error("certificate not reloaded, the last good one stays", problem=str(error))
        return self._context

    def _stamp(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_identity_of(path) for path in (self._certificate, self._key))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or getattr(error, "reason", None) or str(error)
            raise CertificateError(f"{self._certificate} with {self._key}: {reason}") from error
        return context


def self_signed(folder: Path, names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")) -> TlsFiles:
    """Makes `rtmps.crt` and `rtmps.key` (mode 0600) in `folder` unless a pair with time left is there."""
    certificate, key = folder / "rtmps.crt", folder / "rtmps.key"
    if not _has_time_left(certificate) or not key.exists():
        _write_self_signed(certificate, key, names)
    return TlsFiles(certificate, key)


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


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
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
