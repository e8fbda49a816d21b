"""The test cluster's own rules, without a cluster."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from kubelab import (
    addresses,
    binaries,
    cgroups,
    control_plane,
    host,
    image,
    kind,
    kwok,
    layout,
    mounts,
    node,
    oci,
    pki,
    processes,
    record,
    sysctls,
)
from kubelab.nodeless import ControlPlane
from kubelab.site import MACHINE
from kubelab.waiting import Hopeless, NotYet, until

VERSION_1 = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
VERSION_2 = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"


def test_hierarchies_of_both_versions_are_found() -> None:
    found = cgroups.hierarchies(VERSION_1)
    assert [(hierarchy.mount.name, hierarchy.version) for hierarchy in found] == [
        ("cpuset", 1),
        ("pids", 1),
        ("unified", 2),
    ]
    assert "cpuset" in found[0].controllers
    assert cgroups.hierarchies(VERSION_2) == [cgroups.Hierarchy(Path("/sys/fs/cgroup"), 2)]


def hierarchy_of_version_2(mount: Path) -> cgroups.Tree:
    for group in (mount, mount / "lab", mount / "lab" / "node1"):
        group.mkdir()
        (group / "cgroup.controllers").write_text("cpu memory\n")
        (group / "cgroup.subtree_control").write_text("")
    return cgroups.Tree("lab", (cgroups.Hierarchy(mount, 2),))


def test_version_2_groups_of_pods_get_controllers(tmp_path: Path) -> None:
    hierarchy_of_version_2(tmp_path / "cgroup").make("node1")
    assert (tmp_path / "cgroup/lab/cgroup.subtree_control").read_text() == "+memory"  # one write each, cpu before it


def test_a_cpuset_is_filled_from_its_parent(tmp_path: Path) -> None:
    (tmp_path / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset.mems").write_text("0\n")
    cgroups.Tree("lab", (cgroups.Hierarchy(tmp_path, 1, frozenset({"cpuset"})),)).make("node1")
    assert (tmp_path / "lab/node1/cpuset.cpus").read_text() == "0-1\n"


def test_members_are_found_at_every_depth(tmp_path: Path) -> None:
    deep = tmp_path / "lab/node1/kubepods/burstable/pod1"
    deep.mkdir(parents=True)
    (deep / "cgroup.procs").write_text("7\n8\n")
    (tmp_path / "lab/cgroup.procs").write_text("5\n")
    assert cgroups.Tree("lab", (cgroups.Hierarchy(tmp_path, 1),)).members() == {5, 7, 8}


def test_a_process_is_itself_only_with_its_beginning_and_its_boot() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        it = processes.Process.of("sleep", child.pid)
        assert it.lives()
        assert not processes.Process("sleep", it.pid, it.began + 1, it.boot).lives()
        assert not processes.Process("sleep", it.pid, it.began, "before").lives()
    finally:
        child.kill()
    until("a zombie does not live", lambda: not it.lives(), patience=5)
    child.wait()


def test_a_process_id_that_went_to_another_is_left_alone() -> None:
    other = subprocess.Popen(["sleep", "600"])
    try:
        now = processes.Process.of("other", other.pid)
        processes.end(processes.Process("etcd", other.pid, now.began - 1, now.boot))
        processes.end(processes.Process("etcd", other.pid, now.began, "another boot"))
        assert other.poll() is None
        processes.end(now)
        assert not now.lives()
    finally:
        other.kill()


def test_until_tells_what_was_in_the_way() -> None:
    def refuses() -> bool:
        raise OSError("connection refused")

    with pytest.raises(NotYet, match=r"still not: it answers: connection refused"):
        until("it answers", refuses, patience=0)


def test_until_ends_at_once_when_there_is_no_hope() -> None:
    def died() -> bool:
        raise Hopeless("it has ended")

    with pytest.raises(Hopeless):
        until("it answers", died, patience=3600)


def test_binaries_are_told_their_version() -> None:
    kubernetes = binaries.recipes()[0]
    version = binaries.kubernetes_version((layout.MODULES / "kubernetes" / "go.mod").read_text())
    assert f"-X k8s.io/component-base/version.gitVersion={version} " in kubernetes.flags[-1]


def test_other_modules_make_another_key(tmp_path: Path) -> None:
    def key(go_sum: str) -> str:
        (tmp_path / "go.sum").write_text(go_sum)
        return binaries.Recipe("x", {"x": "."}, tmp_path).key()

    assert key("a") == key("a") != key("b")
    assert binaries.Recipe("x", {"x": "y@v1"}).key() != binaries.Recipe("x", {"x": "y@v2"}).key()


def test_an_archive_holds_the_folder_under_its_digests(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "hello").write_text("world")
    oci.pack(tmp_path / "root", "localhost/x:1", tmp_path / "x.tar", ["/hello"])
    with tarfile.open(tmp_path / "x.tar") as archive:

        def blob(digest: str) -> bytes:
            found = archive.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert found
            return found.read()

        index = archive.extractfile("index.json")
        assert index
        (entry,) = json.load(index)["manifests"]
        assert entry["annotations"]["org.opencontainers.image.ref.name"] == "localhost/x:1"
        manifest = json.loads(blob(entry["digest"]))
        assert json.loads(blob(manifest["config"]["digest"]))["config"]["Entrypoint"] == ["/hello"]
        with tarfile.open(fileobj=io.BytesIO(blob(manifest["layers"][0]["digest"]))) as layer:
            assert "./hello" in layer.getnames()


def test_a_server_is_known_by_its_names_and_a_client_by_its_group() -> None:
    pair = pki.Authority("test").issue("system:node:node1", "system:nodes", ["node1", "10.0.0.1"])
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    assert certificate.subject.rfc4514_string() == "CN=system:node:node1,O=system:nodes"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["node1", "10.0.0.1"]


def test_secrets_are_their_owners_alone(tmp_path: Path) -> None:
    pki.Authority("test").pair.write(tmp_path, "ca")
    assert (tmp_path / "ca.key").stat().st_mode & 0o077 == 0


def test_the_image_is_made_of_what_dockerignore_lets_in() -> None:
    assert image.context_paths("# x\n*\n!core\n!README.md\n**/__pycache__\n") == ["core", "README.md"]
    with pytest.raises(ValueError, match="everything"):
        image.context_paths("tests\n")
    for name in image.context_paths((layout.PROJECT / ".dockerignore").read_text()):
        assert (layout.PROJECT / name).exists(), name


def test_all_that_a_node_mounts_is_below_its_folders() -> None:
    for one in addresses.NODES.values():
        configuration = node.containerd_configuration(one)
        assert f'root = "{layout.STATE}/{one.name}' in configuration
        assert f'state = "{layout.SOCKETS}/{one.name}' in configuration
        assert "netns_mounts_under_state_dir = true" in configuration
        assert len(os.fsencode(node.socket(one))) <= 107


def test_every_cluster_checks_who_may_own_what() -> None:
    (patch,) = kind.configuration()["kubeadmConfigPatches"]  # type: ignore[misc]
    (argument,) = yaml.safe_load(patch)["apiServer"]["extraArgs"].values()
    plugins = argument if isinstance(argument, str) else argument["value"]
    assert "OwnerReferencesPermissionEnforcement" in plugins
    assert any(plugins in word for word in map(str, control_plane.api_server_flags(MACHINE)))


def test_settings_are_put_back_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysctls, "ROOT", tmp_path)
    (tmp_path / "kernel").mkdir()
    panic = tmp_path / "kernel" / "panic"
    panic.write_text("0\n")
    before = sysctls.current()
    panic.write_text("10\n")
    sysctls.put_back(before | {"net/of/another/kernel": "1"})
    assert panic.read_text() == "0"


@pytest.mark.parametrize(
    ("place", "name", "answer", "reason"),
    [
        (host.os, "geteuid", 1000, "root"),
        (host.shutil, "which", None, "Go"),
    ],
)
def test_where_no_cluster_can_be_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: object, name: str, answer: object, reason: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(host.os, "geteuid", lambda: 0)
    monkeypatch.setattr(place, name, lambda *_: answer)
    assert reason in (host.obstacle() or "")


def test_a_record_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(record, "FILE", tmp_path / "cluster.json")
    assert record.Record.load() is None
    me = processes.Process.of("owner", os.getpid())
    written = record.Record(me, True, [me], ["node1"], [tmp_path / "pause.tar"], {"kernel/panic": "0"})
    written.save()
    assert record.Record.load() == written and written.stands()


def test_mounts_below_a_folder_are_found_and_its_neighbours_are_not() -> None:
    table = (
        "tmpfs /run tmpfs rw 0 0\nx /run/lab/a x rw 0 0\ny /run/lab/a/my\\040b y rw 0 0\nz /run/laboratory/c z rw 0 0\n"
    )
    assert mounts.below(Path("/run/lab"), table) == [Path("/run/lab/a"), Path("/run/lab/a/my b")]


# A control plane without nodes


def test_sites_do_not_share_ports_or_files(tmp_path: Path) -> None:
    here = ControlPlane(tmp_path, [15001, 15002, 15003]).site
    words = list(map(str, control_plane.etcd(Path, here))) + control_plane.api_server_flags(here)
    for word in words:
        assert str(layout.STATE) not in word and "6443" not in word and "2379" not in word


def test_a_kubeconfig_holds_a_certificate_or_a_token() -> None:
    authority = pki.Authority("test")
    for client, field in ((authority.issue("admin"), "client-key-data"), ("secret-token", "token")):
        content = yaml.safe_load(pki.kubeconfig("https://x", authority.pair.certificate, client))
        assert field in content["users"][0]["user"]


def test_kwok_is_told_what_becomes_of_nodes_and_pods() -> None:
    stages = list(yaml.safe_load_all(kwok.configuration()))
    kinds = [stage["spec"]["resourceRef"]["kind"] for stage in stages]
    assert kinds == ["Node", "Pod", "Pod"] and stages[-1]["spec"]["next"] == {"delete": True}
