"""A certificate and a private key: whether they can be used together."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from onair_operator.desired.certificates import pair_problem


def _certificate(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ingest")]), datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1)
    )
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, locked: KeySerializationEncryption | None = None
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked or NoEncryption())


ELLIPTIC, RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("key", [ELLIPTIC, RSA])
def test_a_pair_and_a_chain_are_fine(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    chain = _certificate(key) + _certificate(ec.generate_private_key(ec.SECP256R1()))
    assert pair_problem(_certificate(key), _pem(key)) is None
    assert pair_problem(chain, _pem(key)) is None


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        (_certificate(ELLIPTIC), _pem(ec.generate_private_key(ec.SECP256R1())), "tls.key is not the key of tls.crt"),
        (_certificate(ELLIPTIC), _pem(RSA), "tls.key is not the key of tls.crt"),
        (b"x", _pem(RSA), "tls.crt is not a certificate in PEM form"),
        (_pem(RSA), _pem(RSA), "tls.crt is not a certificate in PEM form"),
        (_certificate(RSA), b"x", "tls.key is not a private key in PEM form"),
        (_certificate(RSA), _certificate(RSA), "tls.key is not a private key in PEM form"),
        (_certificate(RSA), _pem(RSA, BestAvailableEncryption(b"secret")), "tls.key is encrypted with a password"),
    ],
)
def test_what_cannot_be_used_is_named(certificate: bytes, key: bytes, problem: str) -> None:
    assert pair_problem(certificate, key) == problem
