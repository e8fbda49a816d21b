"""How the operator and an ingest pod's control port know each other: derived, never stored (docs/decisions/015).

An operator that restarts derives the same token and the same certificate, to the byte: it pins running pods without
reading a Secret. So nothing here may change what comes out; `tests/unit/test_control_access.py` has known values.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from onair_core import identity
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.provision import ControlAccess

# Nobody looks it up, and the operator checks the whole certificate instead.
HOST = "ingest.onair.internal"
# A certificate goes with its pod. The second is RFC 5280's "no end" (4.1.2.5).
_VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SERIAL_BYTES = 16


def control_access(root: bytes, incarnation: Incarnation) -> ControlAccess:
    """The same for the same root secret and incarnation. Raises `ValueError` for a root secret that is too short."""
    uid, number = incarnation.uid, incarnation.number
    key = Ed25519PrivateKey.from_private_bytes(identity.control_key(root, uid, number))
    certificate = _certificate(key)
    der = certificate.public_bytes(Encoding.DER)
    return ControlAccess(
        token=identity.control_token(root, uid, number),
        certificate=certificate.public_bytes(Encoding.PEM).decode(),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        fingerprint=sha256(der).digest(),
    )


def _certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """Signed by itself. Ed25519 signatures have no chance in them (RFC 8032), nor has anything else here."""
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    digest = sha256(public.public_bytes_raw()).digest()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(int.from_bytes(digest[:_SERIAL_BYTES]) | 1)  # positive (RFC 5280, 4.1.2.2)
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, None)
    )
