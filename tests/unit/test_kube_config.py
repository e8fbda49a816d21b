"""Logins: kubeconfig files, programs that hand out credentials, the pod's service account."""

from __future__ import annotations

import json
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from onair_core.kube import exec_plugin
from onair_core.kube.config import InCluster, find
from onair_core.kube.errors import LoginError
from onair_core.kube.kubeconfig import Kubeconfig, choose, login, merge

V1 = "client.authentication.k8s.io/v1"


def config(user: dict[str, Any], cluster: dict[str, Any] | None = None, name: str = "one") -> dict[str, Any]:
    return {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": "http://127.0.0.1:1/"} | (cluster or {})}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "events"}}],
    }


def chosen(*contents: Any, context: str | None = None) -> Any:
    return choose(merge((Path("/home"), content) for content in contents), context)


def test_the_first_file_that_names_something_counts() -> None:
    first, second = config({"token": "a"}), config({"token": "b"}) | {"current-context": "two"}
    assert login(chosen(None, first, second)).authorization == "Bearer a"
    assert login(chosen(first, config({"token": "c"}, name="two"), context="two")).authorization == "Bearer c"


def test_server_namespace_proxy_and_server_name() -> None:
    found = login(chosen(config({}, {"proxy-url": "http://proxy:3128", "tls-server-name": "kubernetes"})))
    assert (found.server, found.namespace, found.tls) == ("http://127.0.0.1:1", "events", None)
    assert (found.proxy, found.server_name, found.authorization) == ("http://proxy:3128", "kubernetes", None)


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    user = {"tokenFile": "token", "token": "old"}
    found = login(choose(merge([(tmp_path, config(user))]), None))
    assert found.authorization == "Bearer from-file" and found.good_for == 60.0
    merged = merge([(tmp_path, config({"exec": {"command": "./bin/login"}}))])
    assert merged["users"]["one"]["exec"]["command"] == str(tmp_path / "bin/login")


def test_user_name_and_password() -> None:
    assert login(chosen(config({"username": "u", "password": "p"}))).authorization == "Basic dTpw"


def test_tls_without_verification_has_to_be_asked_for() -> None:
    server = {"server": "https://127.0.0.1:1"}
    strict, lax = (login(chosen(config({}, server | more))).tls for more in ({}, {"insecure-skip-tls-verify": True}))
    assert strict and lax and (strict.verify_mode, lax.verify_mode) == (ssl.CERT_REQUIRED, ssl.CERT_NONE)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "no current context"),
        (config({}) | {"current-context": "two"}, "no context 'two' .there is one."),
        (config({}) | {"users": []}, "no user 'one' .there is none."),
        (config({"auth-provider": {"name": "oidc"}}), "exec plugin"),
        (config({}, {"server": ""}), "no server"),
        (config({}, {"server": "https://x", "certificate-authority-data": "?"}), "no base64"),
        (config({}, {"server": "https://x", "certificate-authority": "/nowhere"}), "cannot be read"),
        (config({}, {"server": "https://x", "certificate-authority-data": "eA=="}), "cannot be used"),
        ([], "no kubeconfig"),
    ],
)
def test_what_cannot_be_used_is_said(content: Any, says: str) -> None:
    with pytest.raises(LoginError, match=says):
        login(chosen(content))


def program(answer: object, more: str = "pass") -> dict[str, Any]:
    code = f"import os, sys; {more}; sys.stdout.write({json.dumps(answer)!r})"
    return {"apiVersion": V1, "command": sys.executable, "args": ["-c", code], "installHint": "brew install it"}


def answer(**status: Any) -> dict[str, Any]:
    return {"apiVersion": V1, "kind": "ExecCredential", "status": status}


async def test_a_program_hands_out_a_token_and_says_for_how_long(tmp_path: Path) -> None:
    checks = (
        "import json; i = json.loads(os.environ['KUBERNETES_EXEC_INFO']); assert i['spec'] == {'interactive': False}"
    )
    plugin = program(
        answer(token="t", expirationTimestamp="2999-01-01T00:00:00Z"), f"{checks}; assert os.environ['A'] == 'b'"
    )
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config({"exec": plugin | {"env": [{"name": "A", "value": "b"}]}})))
    found = await Kubeconfig((file, tmp_path / "missing")).login()
    assert found.authorization == "Bearer t" and found.good_for and found.good_for > 1e9


async def test_a_program_is_told_about_the_cluster_when_it_asks() -> None:
    cluster = {
        "server": "https://x",
        "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"a": 1}}],
    }
    told = json.loads(exec_plugin.exec_info({"apiVersion": V1, "provideClusterInfo": True}, cluster))
    assert told["spec"]["cluster"] == {"server": "https://x", "config": {"a": 1}}


@pytest.mark.parametrize(
    ("plugin", "says"),
    [
        (program(answer(token="t"), "sys.exit('please log in')"), "please log in"),
        (program(answer()), "neither a token nor a certificate"),
        (program(answer(clientCertificateData="c")), "neither a token nor a certificate"),
        (program({"apiVersion": "v0", "status": {"token": "t"}}), "apiVersion v0"),
        (program("secret"), "did not answer with an ExecCredential"),
        (program(answer(token="t")) | {"command": "/nowhere/login"}, "brew install it"),
        (program(answer(token="t")) | {"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "apiVersions"),
    ],
)
async def test_a_program_that_fails_is_quoted(plugin: dict[str, Any], says: str) -> None:
    with pytest.raises(LoginError, match=says):
        await exec_plugin.run(plugin, {})


def test_a_credential_that_has_ended_is_asked_for_again_soon() -> None:
    said = json.dumps(answer(token="t", expirationTimestamp="2026-01-01T00:00:00Z")).encode()
    assert exec_plugin.credential("x", V1, said, datetime(2026, 1, 2, tzinfo=UTC)).good_for == 1.0


def test_where_a_login_comes_from(tmp_path: Path) -> None:
    account, home = tmp_path / "account", tmp_path / "home"
    inside = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(home)}

    def found(given: Path | None = None, **more: str) -> object:
        return find(given, environment=inside | more, service_account=account)

    with pytest.raises(LoginError, match=r"\.kube/config does not exist"):
        found()
    (home / ".kube").mkdir(parents=True)
    (home / ".kube" / "config").touch()
    assert found() == Kubeconfig((home / ".kube" / "config",))
    account.mkdir()
    (account / "token").touch()
    assert found() == InCluster("fd00::1", "443", account)
    assert found(KUBECONFIG="/a:/b") == Kubeconfig((Path("/a"), Path("/b")))
    assert found(Path("/c"), KUBECONFIG="/a:/b") == Kubeconfig((Path("/c"),))


async def test_a_pods_token_is_read_again_and_its_connections_are_kept(tmp_path: Path) -> None:
    authority = ssl.DER_cert_to_PEM_cert(ssl.create_default_context().get_ca_certs(binary_form=True)[0])
    for name, content in (("ca.crt", authority), ("namespace", "onair"), ("token", "old\n")):
        (tmp_path / name).write_text(content)
    source = InCluster("fd00::1", "443", tmp_path)
    before = await source.login()
    (tmp_path / "token").write_text("new\n")
    after = await source.login()
    assert (before.authorization, after.authorization) == ("Bearer old", "Bearer new")
    assert before.tls is after.tls and before.server == "https://[fd00::1]:443" and before.namespace == "onair"
    assert "old" not in repr(before)
    (tmp_path / "token").unlink()
    with pytest.raises(LoginError, match="service account"):
        await source.login()
