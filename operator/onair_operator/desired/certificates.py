"""Whether a certificate and a private key can be used together. Pure."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from onair_core.contract.settings import CERTIFICATE, KEY


@lru_cache(maxsize=16)  # each stream of a class asks for the same pair
def pair_problem(certificate: bytes, private_key: bytes) -> str | None:
    """What is wrong with a PEM chain (the server's own certificate first) and its PEM key; None: nothing."""
    try:
        chain = x509.load_pem_x509_certificates(certificate)
    except ValueError:
        return f"{CERTIFICATE} is not a certificate in PEM form"
    try:
        key = load_pem_private_key(private_key, password=None)
    except TypeError:
        return f"{KEY} is encrypted with a password"
    except (ValueError, UnsupportedAlgorithm):
        return f"{KEY} is not a private key in PEM form"
    if _spki(chain[0].public_key()) != _spki(key.public_key()):
        return f"{KEY} is not the key of {CERTIFICATE}"
    return None


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
