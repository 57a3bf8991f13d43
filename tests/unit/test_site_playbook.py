"""The order of site.yml: which host runs which role with which bundle, and who goes on when somebody fails.

The playbook is the real one. The roles are stubs that write a line to a log, on hosts that are all this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing as t
from dataclasses import dataclass

import pytest
import yaml

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import render_manifest
from ansible_collections.airgap.mlops.plugins.module_utils._oci import IndexEntry, image_reference, render_index

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ("gateway", "mindsdb", "minio", "mlflow", "postgresql", "redis")
# What a stub writes; the others write nothing.
SAYS = {
    "preflight": "{{ preflight_manifest.version }}",
    "k3s": "{{ k3s_binary | dirname | dirname | basename }}",
    "images": "{{ images_bundle | basename }}",
    "python": "{{ python_bundle | basename }}",
}
HOSTS: dict[str, t.Any] = {
    "servers": {"hosts": dict.fromkeys(("harbour-1", "quarry-1", "ridge-1", "ridge-2", "ridge-3"))},
    "agents": {"hosts": {"harbour-2": None}},
    "harbour": {"hosts": {"harbour-1": None, "harbour-2": None}, "vars": {"airgap_site": "harbour"}},
    "quarry": {"hosts": {"quarry-1": None}, "vars": {"airgap_site": "quarry"}},
    "ridge": {"hosts": dict.fromkeys(("ridge-1", "ridge-2", "ridge-3")), "vars": {"airgap_site": "ridge"}},
}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_bundle(root: pathlib.Path, version: str) -> None:
    """A bundle that is whole, of next to nothing: all its images are one."""
    config = b'{"architecture": "amd64", "os": "linux"}'
    manifest = json.dumps(
        {"config": {"digest": f"sha256:{sha(config)}", "size": len(config)}, "layers": [], "for": version}
    ).encode()
    digest = f"sha256:{sha(manifest)}"
    references = {name: image_reference(name, version, digest) for name in IMAGES}
    content = {
        "files/k3s": b"binary",
        "files/images.tar": b"archive",
        f"oci/blobs/sha256/{sha(config)}": config,
        f"oci/blobs/sha256/{sha(manifest)}": manifest,
        "oci/index.json": render_index(
            IndexEntry(reference, digest, len(manifest)) for reference in references.values()
        ).encode(),
    }
    for path, text in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text)
    image = {"version": version, "digest": digest, "size": 1, "unpacked": 1, "layers": [], "source": "build"}
    data = {
        "format": 1,
        "name": "airgap-mlops",
        "version": version,
        "arch": "amd64",
        "k3s": {"version": "v1.35.7+k3s1", "source": "path", "binary": "files/k3s", "images": "files/images.tar"},
        "images": {name: {"reference": references[name], **image} for name in IMAGES},
        "mlflow": {"schema_revisions": ["one"]},
        "files": [{"path": path, "sha256": sha(text), "size": len(text)} for path, text in content.items()],
    }
    (root / "manifest.yml").write_text(render_manifest(data))


@dataclass(frozen=True)
class Run:
    rc: int
    output: str
    log: tuple[str, ...]

    def of(self, role: str) -> list[str]:
        return [line.partition(" ")[2] for line in self.log if line.startswith(f"{role} ")]


class Fleet:
    """A collection whose roles are stubs, three sites, and two bundles."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        collection = root / "collections/ansible_collections/airgap/mlops"
        shutil.copytree(ROOT / "playbooks", collection / "playbooks")
        for name in ("galaxy.yml", "meta", "plugins"):
            (collection / name).symlink_to(ROOT / name)
        for role in (ROOT / "roles").iterdir():
            self._stub(role, collection / "roles" / role.name)
        self.playbook = collection / "playbooks/site.yml"
        self.old, self.new = root / "bundle", root / "bundle-1.1.0"
        make_bundle(self.old, "1.0.0")
        make_bundle(self.new, "1.1.0")

    def _stub(self, role: pathlib.Path, to: pathlib.Path) -> None:
        (to / "tasks").mkdir(parents=True)
        for part in ("defaults", "meta"):
            if (role / part).is_dir():
                (to / part).symlink_to(role / part)
        # raw needs no Python on the other end, so it is quick; a short sleep lets those overlap that may
        line = f"echo {role.name} {{{{ inventory_hostname }}}} {SAYS.get(role.name, '')}"
        script = f"{line} >>{self.root}/log; test ! -e {self.root}/broken/{role.name}-{{{{ inventory_hostname }}}}"
        if role.name == "k3s":
            script = f"{line} >>{self.root}/log; sleep 0.2; {script.replace('echo k3s', 'echo done')}"
        task = {"name": "Stub", "ansible.builtin.raw": script, "changed_when": False}
        for name in (path.name for path in (role / "tasks").iterdir()):
            stubbed = [task] if name == "main.yml" and role.name in SAYS else []
            (to / "tasks" / name).write_text(yaml.safe_dump(stubbed))

    def run(self, *args: str, hosts: t.Mapping[str, t.Any] | None = None, broken: t.Iterable[str] = ()) -> Run:
        inventory = self.root / "hosts.yml"
        common = {"airgap_bundle": str(self.old), "ansible_connection": "local"}
        inventory.write_text(yaml.safe_dump({**HOSTS, "all": {"vars": common}, **(hosts or {})}))
        log = self.root / "log"
        log.write_text("")
        shutil.rmtree(self.root / "broken", ignore_errors=True)
        (self.root / "broken").mkdir()
        for name in broken:
            (self.root / "broken" / name).touch()
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), str(self.playbook), *args],
            check=False,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(self.root / "collections"),
                "ANSIBLE_FORKS": "6",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_SSH_RETRIES": "0",
            },
        )
        return Run(done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr), tuple(log.read_text().splitlines()))


@pytest.fixture
def fleet(tmp_path: pathlib.Path) -> Fleet:
    return Fleet(tmp_path)


def with_vars(group: str, **variables: t.Any) -> dict[str, t.Any]:
    return {group: {**HOSTS[group], "vars": {**HOSTS[group].get("vars", {}), **variables}}}


def test_a_site_may_have_a_bundle_of_its_own(fleet: Fleet) -> None:
    """A release that goes to one site first: each host is checked with, and gets, what its own bundle names."""
    done = fleet.run("--limit", "harbour,quarry", hosts=with_vars("quarry", airgap_bundle=str(fleet.new)))
    assert done.rc == 0, done.output
    assert sorted(done.of("preflight")) == ["harbour-1 1.0.0", "harbour-2 1.0.0", "quarry-1 1.1.0"]
    for role, hosts in (
        ("k3s", ["harbour-1", "harbour-2"]),
        ("images", ["harbour-1", "harbour-2"]),
        ("python", ["harbour-1"]),
    ):
        assert sorted(done.of(role)) == [*(f"{host} bundle" for host in hosts), "quarry-1 bundle-1.1.0"]


def test_every_bundle_is_verified_before_anything_changes(fleet: Fleet) -> None:
    (fleet.new / "files/k3s").write_bytes(b"BINARY")
    done = fleet.run(hosts=with_vars("quarry", airgap_bundle=str(fleet.new)))
    assert done.rc != 0
    assert f"the bundle {fleet.new} is not as it was made: files/k3s has other content" in done.output
    assert done.log == ()


def test_a_site_has_one_bundle(fleet: Fleet) -> None:
    """Two of them would be two releases of k3s in one cluster, and images that some of its nodes do not have."""
    agents = {"agents": {"hosts": {"harbour-2": {"airgap_bundle": str(fleet.new)}}}}
    done = fleet.run("--limit", "harbour", hosts=agents)
    assert done.rc != 0
    assert (
        f"Nothing was changed at site harbour: its hosts name several bundles ({fleet.old}, {fleet.new})" in done.output
    )
    assert done.log == ()


@pytest.mark.parametrize(
    ("limit", "left_out", "way_out"),
    [
        pytest.param("harbour-2,quarry", "harbour-1", "harbour", id="a group has the site's name"),
        pytest.param("north-1,quarry", "north-2", "north-1,north-2", id="none has"),
    ],
)
def test_a_site_changes_as_a_whole_or_not_at_all(fleet: Fleet, limit: str, left_out: str, way_out: str) -> None:
    hosts = {
        "agents": {"hosts": {"harbour-2": None, **dict.fromkeys(("north-1", "north-2"), {"airgap_site": "north"})}}
    }
    done = fleet.run("--limit", limit, hosts=hosts)
    assert done.rc != 0
    assert f"a site changes as a whole, and --limit leaves out {left_out}: use --limit {way_out}." in done.output
    assert {line.split()[1] for line in done.log} == {"quarry-1"}


def test_servers_of_a_site_join_one_at_a_time(fleet: Fleet) -> None:
    """The lead, then the others in the inventory's order, then agents. Sites do not wait for each other."""
    done = fleet.run()
    assert done.rc == 0, done.output
    joined = [line.removesuffix(" bundle") for line in done.log if line.startswith(("k3s ", "done "))]
    ridge = [line for line in joined if "ridge" in line]
    assert ridge == [f"{step} ridge-{number}" for number in (1, 2, 3) for step in ("k3s", "done")]
    assert joined.index("done harbour-1") < joined.index("k3s harbour-2")
    assert len(joined) == 2 * 6
    assert sorted(done.of("python")) == ["harbour-1 bundle", "quarry-1 bundle", "ridge-1 bundle"]


@pytest.mark.parametrize(
    ("broken", "gone", "stops", "untouched"),
    [
        pytest.param(
            ("k3s-ridge-2", "k3s-harbour-2"),
            None,
            {"ridge": "ridge-2", "harbour": "harbour-2"},
            "ridge-3",
            id="a second server, and every agent",
        ),
        pytest.param(
            ("k3s-harbour-1",),
            "ridge-2",
            {"ridge": "ridge-2", "harbour": "harbour-1"},
            "harbour-2",
            id="a lead, and one that goes away",
        ),
        pytest.param(("images-harbour-2",), None, {"harbour": "harbour-2"}, None, id="images of an agent"),
    ],
)
def test_a_site_that_fails_stops_and_the_others_go_on(
    fleet: Fleet, broken: tuple[str, ...], gone: str | None, stops: dict[str, str], untouched: str | None
) -> None:
    hosts = {}
    if gone:
        away = f"lookup('ansible.builtin.file', '{fleet.root}/log') is search('k3s ')"
        lost = {
            "ansible_connection": f"{{{{ 'ssh' if {away} else 'local' }}}}",
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
        }
        hosts = {"lost": {"hosts": {gone: lost}}}
    done = fleet.run(hosts=hosts, broken=broken)
    assert done.rc != 0
    for site, culprit in stops.items():
        assert f"Site {site} stops here: {culprit} failed above" in done.output
    leads = {"harbour": "harbour-1", "quarry": "quarry-1", "ridge": "ridge-1"}
    assert sorted(done.of("python")) == sorted(f"{lead} bundle" for site, lead in leads.items() if site not in stops)
    assert f"{untouched} bundle" not in done.of("k3s")
