"""Operator and pod know each other by what is derived: it must come out the same in every release, to the byte."""

from __future__ import annotations

import dataclasses
import re
import ssl
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509

from onair_operator.desired.control_access import control_access
from onair_operator.desired.naming import Incarnation

ROOT = bytes(range(32))
FIRST = Incarnation("b7a9d4c2-0000-4000-8000-000000000001", 1)


def test_known_values() -> None:
    """An operator of a release that derives others locks itself out of all running pods, live ones among them."""
    access = control_access(ROOT, FIRST)
    assert access.token == "7vhve6wjfu5hgcn7oxnqrm4mqapqewswedkfgpcy"
    assert access.fingerprint.hex() == "cb69d645e5bd8de2864b8c8681318d30fd4401580fbfc1eb463a7b4a1be42e70"


def test_it_is_a_function_of_root_secret_uid_and_number_alone() -> None:
    access = control_access(ROOT, FIRST)
    assert control_access(ROOT, dataclasses.replace(FIRST)) == access
    others = [
        control_access(ROOT, Incarnation(FIRST.uid, 2)),
        control_access(ROOT, Incarnation("another", 1)),
        control_access(bytes(32), FIRST),
    ]
    for field in ("token", "certificate", "private_key", "fingerprint"):
        assert len({getattr(one, field) for one in (access, *others)}) == 4, field


def test_a_pod_can_use_it_and_the_operator_can_pin_it(tmp_path: Path) -> None:
    access = control_access(ROOT, FIRST)
    assert re.fullmatch("[a-z2-7]{40}", access.token)
    der = ssl.PEM_cert_to_DER_cert(access.certificate)
    assert sha256(der).digest() == access.fingerprint
    certificate = x509.load_der_x509_certificate(der)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.not_valid_after_utc.year == 9999
    (tmp_path / "both.pem").write_text(access.certificate + access.private_key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "both.pem")


def test_neither_token_nor_key_is_shown() -> None:
    access = control_access(ROOT, FIRST)
    assert access.token not in repr(access) and "PRIVATE KEY" not in repr(access)


def test_a_short_root_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        control_access(b"short", FIRST)
