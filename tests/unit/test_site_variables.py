"""How an inventory becomes sites and variables of roles, and those what preflight asks of a host."""

from __future__ import annotations

import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import typing as t

import pytest
import yaml

from ansible_collections.airgap.mlops.plugins.module_utils._host import disk_needs as read_needs
from ansible_collections.airgap.mlops.plugins.module_utils._preflight import parse_size

ROOT = pathlib.Path(__file__).resolve().parents[2]


def debug(message: str, *more: str, seed: str = "0") -> dict[str, t.Any]:
    """What an expression is for each host of an inventory."""
    task = ["-m", "ansible.builtin.debug", "-a", json.dumps({"msg": message})]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "adhoc", "all", *more, *task],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
    )
    answers = re.findall(r"^([^|\n]+) \| SUCCESS => (\{.*?^\})", done.stdout, re.MULTILINE | re.DOTALL)
    return {host: json.loads(answer)["msg"] for host, answer in answers}


def evaluate(message: str, *more: str, seed: str = "0") -> dict[str, t.Any]:
    """The same for the example inventory, with what site.yml makes of it."""
    fleet = ["-i", "inventories/fleet", "-e", "@playbooks/vars/site.yml", "--playbook-dir", "playbooks"]
    return debug(message, *fleet, *more, seed=seed)


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_the_first_server_of_a_site_leads(seed: str) -> None:
    """The same lead in every run, whatever order Python's sets have that day."""
    found = evaluate("{{ [__site_lead] + __site_servers }}", seed=seed)
    assert found["quarry-1"] == ["quarry-1", "quarry-1"]
    assert found["harbour-3"] == ["harbour-1", "harbour-1"]
    assert found["ridge-2"] == ["ridge-1", "ridge-1", "ridge-2", "ridge-3"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param([], ["/var/lib/rancher/k3s", "auto", "", [], "/opt/airgap-mlops"], id="defaults of the roles"),
        pytest.param(
            [
                *("-e", "k3s_data_dir=/data/k3s", "-e", "k3s_default_route=never", "-e", "k3s_node_ip=10.0.0.9"),
                *("-e", "python_prefix=/data/python"),
            ],
            ["/data/k3s", "never", "10.0.0.9", [], "/data/python"],
            id="what the inventory says",
        ),
    ],
)
def test_the_host_is_checked_for_what_the_roles_will_use(more: list[str], expected: list[t.Any]) -> None:
    names = "[preflight_data_dir, preflight_default_route, preflight_node_ip, preflight_k3s_extra_keys, __site_python_prefix]"
    assert evaluate(f"{{{{ {names} }}}}", *more)["quarry-1"] == expected


def test_node_ports_are_asked_from_outside_where_the_lead_is_a_client() -> None:
    asked = "{{ [verify_mlflow_node_port, verify_mindsdb_node_port, verify_gateway_node_port] }}"
    found = evaluate(asked, "-e", '{"gateway_node_port": 30303}')
    assert found["quarry-1"] == found["harbour-1"] == [30001, 30002, 30303]
    few = evaluate(f"{{{{ [{asked[3:-3]}, preflight_node_ports] }}}}", "-e", '{"platform_clients": ["10.20.0.0/16"]}')
    assert few["quarry-1"] == [[30001, 30002, 30003]] * 2, "the only node reaches its own pods"
    assert few["harbour-1"] == [[0, 0, 0], [30001, 30002, 30003]]


TOKENS = """
servers:
  hosts:
    harbour-1: {k3s_config: {token: overridden}, k3s_config_dropins: {50-site: {agent-token: agent}, 60-site: {token: server}}}
    ridge-1: {k3s_config: {token: one}}
    ridge-2: {k3s_token: overridden, k3s_config: {token: two}}
    ridge-3: {k3s_token: "{{ 'th' ~ 'ree' }}"}
    quarry-1: {k3s_token: lonely, k3s_config_dropins: {50-empty: }}
agents:
  hosts:
    harbour-2: {k3s_token: agent}
"""


def test_tokens_are_compared_wherever_they_stand(tmp_path: pathlib.Path) -> None:
    (tmp_path / "tokens.yml").write_text(TOKENS)
    found = evaluate("{{ preflight_tokens }}", "-i", str(tmp_path / "tokens.yml"))
    assert found["ridge-3"] == {"ridge-1": "one", "ridge-2": "two", "ridge-3": "three"}
    assert found["quarry-1"] == {"quarry-1": "lonely"}
    assert found["harbour-1"] == {"harbour-1": "server"}, "agents have the agent token there"


def test_every_volume_of_the_site_is_asked_for() -> None:
    """The dump before a migration has one of its own, and artifacts where they lie on a volume."""
    names = "{{ preflight_volumes | map(attribute='name') }}"
    usual = ["pg-pvc", "minio-pvc", "mindsdb-pvc", "gateway-pvc", "mlflow-backup-pvc"]
    found = evaluate(names)
    assert (found["quarry-1"], found["harbour-3"]) == (usual, usual), "a pod may start on any node"
    sizes = "{{ preflight_volumes | items2dict(key_name='name', value_name='size') }}"
    more = [
        "-e",
        "mlflow_artifacts=pvc",
        "-e",
        "mlflow_artifacts_storage_size=3Gi",
        "-e",
        "mlflow_backup_storage_size=2Gi",
    ]
    assert evaluate(sizes, *more)["quarry-1"] == {
        "pg-pvc": "10Gi",
        "minio-pvc": "40Gi",
        "mindsdb-pvc": "5Gi",
        "gateway-pvc": "5Gi",
        "mlflow-backup-pvc": "2Gi",
        "mlflow-pvc": "3Gi",
    }


MANIFEST: dict[str, t.Any] = {
    "k3s": {"binary": "files/k3s", "images": "files/images.tar"},
    "files": [{"path": "files/k3s", "size": 70}, {"path": "files/images.tar", "size": 200}],
    "images": {},
}
Cases = dict[str, dict[str, t.Any]]


def in_role(role: str, message: str, cases: Cases, **common: t.Any) -> dict[str, t.Any]:
    """What an expression is in a role, for hosts with these of its variables and its defaults for the others."""
    for name in ("vars/main.yml", "defaults/main.yml"):
        common = {**yaml.safe_load((ROOT / "roles" / role / name).read_text()), **common}
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as inventory:
        yaml.safe_dump({"all": {"vars": common, "hosts": cases}}, inventory)
        inventory.flush()
        return debug(message, "-i", inventory.name, "--playbook-dir", f"roles/{role}")


def in_preflight(message: str, cases: Cases) -> dict[str, t.Any]:
    return in_role("preflight", message, cases, preflight_manifest=MANIFEST)


def disk_needs(cases: Cases) -> dict[str, list[dict[str, t.Any]]]:
    """What preflight asks of a host's disk."""
    return in_preflight("{{ lookup('ansible.builtin.template', 'disk.yml.j2') | from_yaml }}", cases)


def missing(needs: list[dict[str, t.Any]]) -> list[str]:
    """What of it is not there yet, on this machine."""
    read = read_needs({"present": "", "present_size": "", **need} for need in needs)
    return [f"{need.what} {need.size}" for need in read if not need.present]


def test_volumes_need_room_where_they_may_come_to_lie() -> None:
    volume = {"namespace": "mlops", "name": "pg-pvc", "size": "10Gi"}
    cases: Cases = {
        "pods may start here": {},
        "no pod starts here": {"preflight_k3s_config": {"node-taint": ["a=b:NoSchedule"]}},
        "nor here": {"preflight_k3s_config_dropins": {"10.yaml": {"node-taint+": "a:NoExecute"}}},
        "some may": {"preflight_k3s_config": {"node-taint": ["a:PreferNoSchedule"]}},
        "it lies elsewhere": {"preflight_volumes": [{**volume, "storage_class": "nfs"}]},
        "it is on another node": {"preflight_site_hosts": ["has it", "has another"]},
        "another is": {"preflight_site_hosts": ["has another"]},
        "has it": {"__preflight_found": {"volumes": ["pvc-12_mlops_pg-pvc"]}},
        "has another": {"__preflight_found": {"volumes": ["pvc-12_other_pg-pvc"]}},
    }
    found = disk_needs({name: {"preflight_volumes": [volume], **case} for name, case in cases.items()})
    asked = {name for name, needs in found.items() if "volume pg-pvc" in [need["what"] for need in needs]}
    assert asked == {"pods may start here", "some may", "another is", "has it", "has another"}


def test_another_release_of_k3s_is_unpacked_beside_the_old_one(tmp_path: pathlib.Path) -> None:
    """Only the binary and the archive of this very release show that it is unpacked already."""
    data_dir = tmp_path / "k3s"
    for path in ("data/0ld/bin", "agent/containerd/io.containerd.snapshotter.v1.overlayfs", "agent/images"):
        (data_dir / path).mkdir(parents=True)
    binary, archive = tmp_path / "bin-k3s", data_dir / "agent/images/images.tar"
    needs = disk_needs({"edge": {"preflight_data_dir": str(data_dir), "__preflight_k3s": str(binary)}})["edge"]
    for size, wanted in (
        (1, ["the k3s binary 70", "k3s' core images 200", "k3s unpacked 210", "k3s' core images unpacked 800"]),
        (0, []),
    ):
        binary.write_bytes(b"x" * (70 - size))
        archive.write_bytes(b"x" * (200 - size))
        assert missing(needs) == wanted


def test_a_layer_that_images_share_is_counted_once(tmp_path: pathlib.Path) -> None:
    """And one that is there already not at all, whichever image brought it."""
    layers = {name: {"digest": f"sha256:{name}", "size": 10, "unpacked": 30} for name in ("base", "old", "one", "two")}
    images = {
        "mindsdb": {"layers": [layers["base"], layers["old"], layers["one"]]},
        "mlflow": {"layers": [layers["base"], layers["two"], layers["two"]]},
    }
    blobs = tmp_path / "agent/containerd/io.containerd.content.v1.content/blobs/sha256"
    blobs.mkdir(parents=True)
    (blobs / "old").touch()
    given = {"preflight_manifest": {**MANIFEST, "images": images}, "preflight_data_dir": str(tmp_path)}
    asked = [need for need in missing(disk_needs({"edge": given})["edge"]) if need.startswith("image ")]
    assert asked == ["image mindsdb 40", "image mindsdb 40", "image mlflow 40"]


def test_node_ports_are_the_components_own() -> None:
    found = evaluate("{{ preflight_node_ports }}", "-e", "mlflow_node_port=31001")
    assert found["quarry-1"] == ["31001", 30002, 30003]


def test_ports_that_k3s_and_the_components_take() -> None:
    agent, several = {"preflight_role": "agent"}, {"preflight_site_servers": ["a", "b", "c"]}
    other = {"preflight_k3s_config": {"https-listen-port": 7443}}
    files = {"20.yaml": {"https-listen-port": "9443"}, "10.yaml": {"https-listen-port": 1}}
    table: list[tuple[str, dict[str, t.Any], set[int], set[int]]] = [
        ("a server", {}, {6443, 6444, 10259, 30001, 30002, 30003}, {2379, 2380}),
        ("an agent", agent, {6444, 30001}, {6443, 10259}),
        ("another node port", {"preflight_node_ports": [31001]}, {31001}, {30001}),
        ("another port of k3s", other, {7443, 7444}, {6443, 6444}),
        ("the last file wins", {**other, "preflight_k3s_config_dropins": files}, {9443, 9444}, {7443}),
        ("several servers", several, {2379, 2380}, set()),
        ("their agent", {**several, **agent}, set(), {2379, 2380}),
    ]
    found = in_preflight("{{ __preflight_ports[preflight_role] }}", {name: case for name, case, *_ports in table})
    for name, _case, wanted, others in table:
        assert wanted <= set(found[name]), name
        assert not others & set(found[name]), name


def test_a_node_is_called_as_k3s_will_call_it() -> None:
    cases: Cases = {
        "edge": {},
        "north": {"preflight_k3s_config": {"node-name": "North"}},
        "with an identifier": {"preflight_k3s_config": {"node-name": "x", "with-node-id": True}},
    }
    given = {name: {"__preflight_found": {"hostname": "Edge"}, **case} for name, case in cases.items()}
    assert in_preflight("{{ __preflight_own_name }}", given) == {
        "edge": "edge",
        "north": "north",
        "with an identifier": "",
    }


def test_of_a_configuration_only_what_is_looked_at_goes_to_the_host() -> None:
    given = {"preflight_k3s_config": {"kubelet-arg": ["a=b"], "etcd-s3-secret-key": "hush", "node-lable": {"x": "y"}}}
    shown = "{{ lookup('ansible.builtin.template', 'configs.yml.j2') | from_yaml }}"
    found = in_preflight(
        shown, {"edge": {**given, "preflight_k3s_config_dropins": {"10": {"agent-token": "hush"}, "20": "text"}}}
    )
    assert found["edge"] == [
        {"kubelet-arg": ["a=b"], "etcd-s3-secret-key": "", "node-lable": ""},
        {"agent-token": ""},
        "text",
    ]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_clocks_are_compared_wherever_the_controller_is(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    task = yaml.safe_load((ROOT / "roles/preflight/tasks/check.yml").read_text())[-1]
    found = debug(task["airgap.mlops.preflight"]["controller_time"], "-i", "edge,")
    assert abs(float(found["edge"]) - time.time()) < 60


@pytest.mark.parametrize(("role", "sold_as"), [("server", 4096), ("agent", 512)])
def test_a_host_of_the_size_that_is_documented_is_large_enough(role: str, sold_as: int) -> None:
    """A kernel shows a tenth less of it, where it keeps some for crash dumps."""
    asked = in_preflight("{{ preflight_memory }}", {"edge": {"preflight_role": role}})["edge"]
    assert sold_as * 0.75 < parse_size(asked) / 1024**2 < sold_as * 0.9


def braces(word: str) -> list[str]:
    """As bash expands them."""
    found = re.search(r"\{([^{}]*)\}", word)
    if not found:
        return [word]
    return [item for part in found[1].split(",") for item in braces(word[: found.start()] + part + word[found.end() :])]


def test_start_over_removes_what_k3s_was_made_of() -> None:
    page = (ROOT / "docs/restore.md").read_text().partition("## Start over")[2]
    words = " ".join(re.findall(r"^# (rm .*)$", page, re.MULTILINE)).split()
    removed = [pattern for word in words if word.startswith("/") for pattern in braces(word)]
    given = {"k3s_images": "i.tar", "k3s_binary": "k3s", "k3s_images_sha256": "a", "k3s_binary_sha256": "b"}
    more = {"k3s_token": "hush", "k3s_environment": {"A": "b"}, "k3s_registries": {"mirrors": {}}}  # for every file
    network = {"default_routes": [], "addresses": [{"address": "192.0.2.9"}]}
    paths = in_role(
        "k3s",
        "{{ lookup('ansible.builtin.template', 'files.yml.j2') | from_yaml | map(attribute='path') }}",
        {role: {"k3s_role": role, "__k3s_before": {"network": network}} for role in ("server", "agent")},
        **given,
        **more,
    )
    assert any("/k3s-agent.service.d/" in path for path in paths["agent"])
    prefix = yaml.safe_load((ROOT / "roles/python/defaults/main.yml").read_text())["python_prefix"]
    started = [f"/etc/systemd/system/multi-user.target.wants/{unit}.service" for unit in ("k3s", "k3s-agent")]
    for path in [*paths["server"], *paths["agent"], *started, prefix]:
        above = [path, *map(str, pathlib.PurePath(path).parents)]
        assert any(fnmatch.fnmatch(item, pattern) for item in above for pattern in removed), path
    assert "# find /usr/local/bin -lname k3s -delete" in page, "kubectl, crictl and ctr, where they are ours"
