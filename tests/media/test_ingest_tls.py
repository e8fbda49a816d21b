"""The certificate of RTMPS: renewed without dropping anyone, and never a reason not to start that says nothing."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from ingest_client import Client, Sink, trusting

from onair_media.ingest.server import RtmpServer
from onair_media.ingest.tls import RETRY_SECONDS, CertificateError, TlsFiles, self_signed


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def replace_with_new_pair(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(exist_ok=True)
    self_signed(other)
    for name in ("rtmps.key", "rtmps.crt"):
        (other / name).replace(folder / name)


def encrypt(key: Path) -> None:
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )


async def test_a_renewed_certificate_drops_nobody_and_serves_the_next(tmp_path: Path) -> None:
    sink = Sink()
    server = RtmpServer(sink, self_signed(tmp_path))
    await server.start("127.0.0.1", 0)

    async def publisher() -> tuple[Client, bytes]:
        client = await Client.connect(server, trusting())
        await client.publish()
        await client.is_live()
        return client, client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    first, old = await publisher()
    replace_with_new_pair(tmp_path, tmp_path)
    second, new = await publisher()
    assert old != new
    for client in (first, second):
        sink.arrived.clear()
        client.audio()
        await asyncio.wait_for(sink.arrived.wait(), 10)
    assert sink.reasons == []
    await server.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(tmp_path: Path, version: ssl.TLSVersion) -> None:
    server = RtmpServer(Sink(), self_signed(tmp_path))
    await server.start("127.0.0.1", 0)
    client = await Client.connect(server, trusting(version))
    assert client.writer.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
    await client.publish()
    await client.is_live()
    await server.close()


async def test_no_session_ticket_is_sent_because_librtmp_breaks_at_it(tmp_path: Path) -> None:
    server = RtmpServer(Sink(), self_signed(tmp_path))
    await server.start("127.0.0.1", 0)
    client = await Client.connect(server, trusting(ssl.TLSVersion.TLSv1_3))
    await client.publish()
    await client.is_live()
    assert not client.writer.get_extra_info("ssl_object").session.has_ticket
    await server.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_older_tls_is_not(tmp_path: Path, version: ssl.TLSVersion) -> None:
    server = RtmpServer(Sink(), self_signed(tmp_path))
    await server.start("127.0.0.1", 0)
    with pytest.raises((ssl.SSLError, ConnectionResetError)) as caught:
        await Client.connect(server, trusting(version))
    assert "NO_PROTOCOLS" not in str(caught.value) and "NO_CIPHERS" not in str(caught.value), "the client would not"
    await server.close()


def test_a_pair_that_is_half_written_is_tried_again(tmp_path: Path) -> None:
    clock = Clock()
    self_signed(tmp_path)
    files = TlsFiles(tmp_path / "rtmps.crt", tmp_path / "rtmps.key", clock)
    good = files.context()
    key = (tmp_path / "rtmps.key").read_bytes()
    (tmp_path / "rtmps.key").write_bytes(key[:50])
    assert files.context() is good
    (tmp_path / "rtmps.key").write_bytes(key)
    assert files.context() is good, "not at once: each try costs, and anybody can connect"
    clock.now += RETRY_SECONDS
    renewed = files.context()
    assert renewed is not good
    assert files.context() is renewed


def test_what_failed_for_a_moment_is_tried_again_though_the_files_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # certbot writes the key for root; its hook gives it to us a moment later.
    clock = Clock()
    self_signed(tmp_path)
    files = TlsFiles(tmp_path / "rtmps.crt", tmp_path / "rtmps.key", clock)
    good = files.context()
    replace_with_new_pair(tmp_path, tmp_path)

    def not_yet(self: object) -> ssl.SSLContext:
        raise CertificateError("Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(TlsFiles, "_load", not_yet)
        assert files.context() is good
    clock.now += RETRY_SECONDS
    assert files.context() is not good


def test_a_change_that_keeps_the_time_and_the_inode_is_seen(tmp_path: Path) -> None:
    self_signed(tmp_path)
    certificate = tmp_path / "rtmps.crt"
    files = TlsFiles(certificate, tmp_path / "rtmps.key")
    good = files.context()
    before = certificate.stat()
    with certificate.open("ab") as file:
        file.write(b"\n")
    os.utime(certificate, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.context() is not good


def test_an_encrypted_key_is_an_error_and_asks_nobody(tmp_path: Path) -> None:
    self_signed(tmp_path)
    encrypt(tmp_path / "rtmps.key")
    with pytest.raises(CertificateError, match="encrypted"):
        TlsFiles(tmp_path / "rtmps.crt", tmp_path / "rtmps.key")


def test_a_self_signed_pair_is_kept(tmp_path: Path) -> None:
    self_signed(tmp_path)
    before = (tmp_path / "rtmps.crt").read_bytes()
    self_signed(tmp_path)
    assert (tmp_path / "rtmps.crt").read_bytes() == before
    assert (tmp_path / "rtmps.key").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"rtmps.crt", "rtmps.key"}


@pytest.mark.parametrize("damage", ["empty key", "empty certificate", "of two pairs", "encrypted", "no key"])
def test_a_self_signed_pair_that_cannot_be_used_is_made_anew(tmp_path: Path, damage: str) -> None:
    # A crash while it was written must not keep `onair local` from starting for ever.
    key, certificate = tmp_path / "rtmps.key", tmp_path / "rtmps.crt"
    self_signed(tmp_path)
    if damage == "empty key":
        key.write_bytes(b"")
    elif damage == "empty certificate":
        certificate.write_bytes(b"")
    elif damage == "encrypted":
        encrypt(key)
    elif damage == "no key":
        key.unlink()
    else:
        old = key.read_bytes()
        replace_with_new_pair(tmp_path, tmp_path)
        key.write_bytes(old)
    self_signed(tmp_path)
    TlsFiles(certificate, key)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="nowhere"):
        self_signed(tmp_path / "nowhere")
