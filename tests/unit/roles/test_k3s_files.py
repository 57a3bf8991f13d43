"""What the options of role k3s become on a node, and which of it a diff may show."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
import yaml

from ansible_collections.airgap.mlops.plugins.module_utils._files import FileState, plan_files
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_config import SERVER_KEYS
from ansible_collections.airgap.mlops.plugins.modules.node_files import wanted_paths

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/k3s"
FOUND = {"network": {"default_routes": [{"device": "eth0", "metric": 0}], "addresses": []}}
GIVEN = {
    "k3s_binary": "/media/usb/k3s",
    "k3s_binary_sha256": "1" * 64,
    "k3s_images": "/media/usb/k3s-airgap-images-amd64.tar.zst",
    "k3s_images_sha256": "2" * 64,
    "__k3s_before": FOUND,
    "__k3s_lead_token": {},
}
CONFIG, REGISTRIES = "/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/registries.yaml"
LOGIN = {"username": "u", "password": "hush-hush"}
CONTAINERD = "/var/lib/rancher/k3s/agent/etc/containerd"


def adhoc(
    module: str, args: dict[str, t.Any], options: dict[str, t.Any], *flags: str
) -> subprocess.CompletedProcess[str]:
    """Run a module with the role's variables."""
    variables = [f"@{ROLE}/defaults/main.yml", f"@{ROLE}/vars/main.yml", json.dumps({**GIVEN, **options})]
    return subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "adhoc", "node", "--inventory", "node,", "--playbook-dir", str(ROLE)),
            *(argument for text in variables for argument in ("--extra-vars", text)),
            *("-m", f"ansible.builtin.{module}", "-a", json.dumps(args), *flags),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
    )


def files(*flags: str, **options: t.Any) -> dict[str, dict[str, t.Any]]:
    """The files of templates/files.yml.j2 by path, as node_files takes them."""
    message = "{{ lookup('ansible.builtin.template', 'files.yml.j2') | from_yaml }}"
    done = adhoc("debug", {"msg": message}, options, *flags)
    found = json.loads(done.stdout.partition("=>")[2])["msg"]
    return {item["path"]: {"hidden_if": None, "content": None, "secret_content": None, **item} for item in found}


@pytest.fixture(scope="module")
def plain() -> dict[str, dict[str, t.Any]]:
    return files(k3s_config={"node-label": ["site=harbour"]}, k3s_registries={"mirrors": {"docker.io": None}})


def test_options_become_files() -> None:
    found = files(
        k3s_token="hush-hush",  # noqa: S106  a token of nobody
        k3s_config={"node-label": ["site=harbour"]},
        k3s_config_dropins={"50-pods.yaml": {"kubelet-arg+": ["max-pods=50"]}},
        k3s_registries={"configs": {"registry.example": {"auth": LOGIN}}},
        k3s_containerd_dropins={"50-x.toml": "version = 3\n"},
        k3s_containerd_template={"__ansible_unsafe": '{{ template "base" . }}\n'},
        k3s_environment={"HTTPS_PROXY": "http://u:hush-hush@proxy.example"},
    )
    shown = {
        path: yaml.safe_load(item["content"]) for path, item in found.items() if item["content"] and "yaml" in path
    }
    assert shown == {
        CONFIG: {
            "node-label": ["site=harbour"],
            "token-file": "/etc/rancher/k3s/token",
            "resolv-conf": "/etc/rancher/k3s/resolv.conf",
        },
        f"{CONFIG}.d/50-pods.yaml": {"kubelet-arg+": ["max-pods=50"]},
    }
    hidden = {path: item["secret_content"] for path, item in found.items()}
    assert hidden["/etc/rancher/k3s/token"] == "hush-hush\n"
    assert yaml.safe_load(hidden[REGISTRIES]) == {"configs": {"registry.example": {"auth": LOGIN}}}
    template = '{{/* Managed by airgap.mlops */}}\n{{ template "base" . }}\n'
    assert hidden[f"{CONTAINERD}/config-v3.toml.tmpl"] == template
    assert hidden[f"{CONTAINERD}/config-v3.toml.d/50-x.toml"] == "# Managed by airgap.mlops\nversion = 3\n"
    proxy = '# Managed by airgap.mlops\nHTTPS_PROXY="http://u:hush-hush@proxy.example"\n'
    assert hidden["/etc/systemd/system/k3s.service.env"] == proxy
    assert "hush" not in str([item["content"] for item in found.values()])


def test_what_is_encrypted_in_the_inventory_is_written_as_it_is(tmp_path: pathlib.Path) -> None:
    (tmp_path / "password").write_text("opens the vault")
    vault = ["--vault-password-file", str(tmp_path / "password")]
    encrypt = [sys.executable, "-m", "ansible", "vault", "encrypt_string", *vault, "--name", "login", "hush-hush"]
    secret = subprocess.run(encrypt, check=True, capture_output=True, text=True).stdout
    (tmp_path / "site.yml").write_text(secret + "k3s_config: {agent-token: '{{ login }}'}\n")
    found = files("--extra-vars", f"@{tmp_path}/site.yml", *vault)
    assert yaml.safe_load(found[CONFIG]["secret_content"])["agent-token"] == "hush-hush"


def test_the_plan_of_a_bare_site_has_the_token_that_its_lead_will_make() -> None:
    found = files("--check", k3s_role="agent", k3s_lead="lead", k3s_server_url="https://lead:6443")
    assert found["/etc/rancher/k3s/token"]["secret_content"]
    assert yaml.safe_load(found[CONFIG]["content"])["token-file"] == "/etc/rancher/k3s/token"


@pytest.mark.parametrize(
    ("lead_config", "url"),
    [
        pytest.param({}, "https://node:6443", id="k3s' own port"),
        pytest.param({"https-listen-port": 7443}, "https://node:7443", id="the lead listens elsewhere"),
    ],
)
def test_others_join_where_the_lead_listens(lead_config: dict[str, t.Any], url: str) -> None:
    done = adhoc("debug", {"msg": "{{ k3s_server_url }}"}, {"k3s_config": lead_config})
    assert json.loads(done.stdout.partition("=>")[2])["msg"] == url


@pytest.mark.parametrize(
    ("path", "before", "hidden"),
    [
        pytest.param(CONFIG, "node-label:\n- site=old\n", False, id="nothing to hide"),
        pytest.param(CONFIG, "token-file: /old/token\n", False, id="the name of a file"),
        pytest.param(CONFIG, "debug: true\ntoken: old\n", True, id="token"),
        pytest.param(CONFIG, '{"agent-token" : "old"}\n', True, id="as JSON"),
        pytest.param(CONFIG, "datastore-endpoint+: old\n", True, id="appended"),
        pytest.param(CONFIG, "etcd-s3-proxy: http://u:old@proxy.example\n", True, id="address with a password"),
        pytest.param(REGISTRIES, "mirrors:\n  old: {endpoint: [http://old.example]}\n", False, id="mirrors alone"),
        pytest.param(REGISTRIES, "mirrors: {}\nconfigs:\n  old: {auth: {auth: old}}\n", True, id="configs"),
        pytest.param(REGISTRIES, "mirrors: {old: {endpoint: ['http://u:old@x.example']}}\n", True, id="in a mirror"),
        pytest.param(
            "/etc/systemd/system/k3s.service", "ExecStart=k3s server -t old\n", True, id="argument of the unit"
        ),
    ],
)
def test_what_was_there_is_hidden(plain: dict[str, dict[str, t.Any]], path: str, before: str, hidden: bool) -> None:
    params = {"directories": [], "links": [], "files": [{"sha256": None, "staging": None, **plain[path]}]}
    state = FileState("file", 0o600, "3" * 64, text=before if plain[path]["content"] else "")
    (diff,) = plan_files(wanted_paths(params), {path: state}).diffs
    after = plain[path]["content"] or plain[path]["secret_content"]
    assert ("old" in diff["before"]) is (after in diff["after"]) is not hidden


@pytest.mark.parametrize(
    ("options", "clear"),
    [
        pytest.param({}, False, id="two addresses"),
        pytest.param({"k3s_node_ip": "10.0.0.1"}, True, id="the inventory says which"),
        pytest.param({"k3s_config": {"node-ip": "10.0.0.1"}}, True, id="the configuration says which"),
    ],
)
def test_a_host_without_a_default_route_needs_to_be_told_its_address(options: dict[str, t.Any], clear: bool) -> None:
    addresses = [{"device": "eth0", "address": "10.0.0.1"}, {"device": "eth1", "address": "10.1.0.1"}]
    options["__k3s_before"] = {"network": {"default_routes": [], "addresses": addresses}}
    tasks = yaml.safe_load((ROLE / "tasks/read.yml").read_text())
    check = next(task["ansible.builtin.assert"] for task in tasks if "which address" in task["name"])
    done = adhoc("assert", check, options)
    assert (done.returncode == 0) is clear
    assert clear or "Set k3s_node_ip for this host" in done.stdout


def test_secret_keys_are_keys() -> None:
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    assert set(variables["__k3s_secret_keys"]) <= {*SERVER_KEYS, "configs"}
    assert re.compile(variables["__k3s_secret_pattern"])
