#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check whether a host can become, or go on as, a node of a site
version_added: 1.0.0
author:
  - The airgap.mlops maintainers (@airgap-mlops)
description:
  - Takes all requirements at once, reads the host, and reports all failures in one message. Each names the thing, where it is, and a way out.
  - Changes nothing.
extends_documentation_fragment:
  - airgap.mlops._k3s
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_k3s
options:
  host:
    description: Name of the host in the inventory.
    type: str
    required: true
  role:
    description: What the host is to be.
    type: str
    choices: [server, agent]
    default: server
  arch:
    description: Architecture that the bundle is for.
    type: str
    choices: [amd64, arm64]
    required: true
  k3s_version:
    description: Release of k3s that the bundle brings.
    type: str
    required: true
  k3s_minimum:
    description: Oldest release of k3s that is supported.
    type: str
    default: v1.33
  patch_downgrade:
    description: Whether an older patch of the same minor release may replace what is installed.
    type: bool
    default: false
  systems:
    description: Supported operating systems, C(ID) of C(/etc/os-release) and oldest version.
    type: dict
    default: {}
  ports:
    description: TCP ports that nobody but k3s may hold.
    type: list
    elements: int
    default: []
  disk:
    description: What will be written. Checked for each mounted file system.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Directory below which it will be. Need not exist.
        type: str
        required: true
      size:
        description: Its size, in bytes or as Kubernetes writes quantities.
        type: str
        required: true
      what:
        description: What it is, for the message.
        type: str
        required: true
      present:
        description: Shell pattern. When a file matches, it is there already and needs nothing.
        type: str
        default: ""
      present_size:
        description: Size that the file has to have, too, in bytes or as Kubernetes writes quantities.
        type: str
        default: ""
  disk_reserve_percent:
    description: Part of a file system that has to stay free, because the kubelet evicts pods below it.
    type: int
    default: 5
  memory:
    description: Memory that the host's kernel has to show (C(MemTotal)), in bytes or as Kubernetes writes quantities.
    type: str
    default: "0"
  swap:
    description: What swap in use means.
    type: str
    choices: [fail, warn, ignore]
    default: warn
  controller_time:
    description: Seconds since 1970 on the controller. Without it the clock is not checked.
    type: float
  clock_skew:
    description: Seconds by which the clocks may differ.
    type: int
    default: 300
  default_route:
    description: How the role C(k3s) treats a host without a default route.
    type: str
    choices: [auto, always, never]
    default: auto
  node_ip:
    description: Address of the node, if it is set.
    type: str
    default: ""
  k3s_configs:
    description: All configurations of k3s for this host. Their keys are looked at, and the value of C(kubelet-arg).
    type: list
    elements: dict
    default: []
  extra_keys:
    description: Keys of config.yaml that are not refused though this collection does not know them.
    type: list
    elements: str
    default: []
  tokens:
    description: Tokens in the inventory, by host of the site.
    type: dict
    default: {}
  node_name:
    description: Name of its node; empty when k3s makes one that no other has. By default the host's own name.
    type: str
  founder:
    description: Whether this host begins the cluster of its site, as the first of its servers.
    type: bool
    default: false
  peers:
    description: The other hosts of the site.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Name in the inventory.
        type: str
        required: true
      role:
        description: What it is to be.
        type: str
        choices: [server, agent]
        required: true
      node_name:
        description: Name of its node; empty when it is not known, or when k3s makes one that no other has.
        type: str
        default: ""
      cluster_id:
        description: Digest of the CA of the cluster that it belongs to.
        type: str
"""

EXAMPLES = r"""
- name: Check the host
  airgap.mlops.preflight:
    host: "{{ inventory_hostname }}"
    arch: amd64
    k3s_version: v1.35.4+k3s1
    systems: {debian: "12", rocky: "9"}
    ports: [6443, 10250]
    disk:
      - {path: /var/lib/rancher/k3s, size: 8Gi, what: images}
    memory: 3584Mi
    controller_time: "{{ '%s' | strftime }}"
"""

RETURN = r"""
failures:
  description: What has to be mended.
  returned: always
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_k3s import K3S_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._host import disk_needs, read_host
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_host import K3sHost
from ansible_collections.airgap.mlops.plugins.module_utils._preflight import Peer, Requirements, check_host, parse_size

ARGUMENT_SPEC: dict[str, t.Any] = {
    "host": {"type": "str", "required": True},
    "role": {"type": "str", "choices": ["server", "agent"], "default": "server"},
    "arch": {"type": "str", "choices": ["amd64", "arm64"], "required": True},
    "k3s_version": {"type": "str", "required": True},
    "k3s_minimum": {"type": "str", "default": "v1.33"},
    "patch_downgrade": {"type": "bool", "default": False},
    "systems": {"type": "dict", "default": {}},
    "ports": {"type": "list", "elements": "int", "default": []},
    "disk": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "size": {"type": "str", "required": True},
            "what": {"type": "str", "required": True},
            "present": {"type": "str", "default": ""},
            "present_size": {"type": "str", "default": ""},
        },
    },
    "disk_reserve_percent": {"type": "int", "default": 5},
    "memory": {"type": "str", "default": "0"},
    "swap": {"type": "str", "choices": ["fail", "warn", "ignore"], "default": "warn"},
    "controller_time": {"type": "float"},
    "clock_skew": {"type": "int", "default": 300},
    "default_route": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
    "node_ip": {"type": "str", "default": ""},
    "k3s_configs": {"type": "list", "elements": "dict", "default": []},
    "extra_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "tokens": {"type": "dict", "default": {}, "no_log": True},
    "node_name": {"type": "str"},
    "founder": {"type": "bool", "default": False},
    "peers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str", "required": True},
            "role": {"type": "str", "choices": ["server", "agent"], "required": True},
            "node_name": {"type": "str", "default": ""},
            "cluster_id": {"type": "str"},
        },
    },
    **K3S_ARGS,
}

# Options that the requirements take as they are.
_PLAIN = (
    "host",
    "role",
    "arch",
    "k3s_version",
    "k3s_minimum",
    "patch_downgrade",
    "systems",
    "disk_reserve_percent",
    "swap",
    "controller_time",
    "clock_skew",
    "default_route",
    "node_ip",
    "tokens",
    "node_name",
    "founder",
)


def requirements(params: t.Mapping[str, t.Any]) -> Requirements:
    plain = {name: params[name] for name in _PLAIN}
    return Requirements(
        **plain,
        memory=parse_size(params["memory"]),
        ports=tuple(params["ports"]),
        disk=disk_needs(params["disk"]),
        k3s_configs=tuple(params["k3s_configs"]),
        extra_keys=tuple(params["extra_keys"]),
        peers=tuple(Peer(**peer) for peer in params["peers"]),
    )


def run(module: AnsibleModule) -> dict[str, t.Any]:
    need = requirements(module.params)
    k3s = K3sHost(module.run_command, module.params["k3s"], module.params["data_dir"], need.role)
    findings = check_host(read_host(k3s, need.ports, [item.path for item in need.disk]), need)
    for warning in findings.warnings:
        module.warn(f"{need.host}: {warning}")
    if findings.failures:
        count = len(findings.failures)
        listed = "\n".join(f"{number}. {text}" for number, text in enumerate(findings.failures, 1))
        raise AirgapError(
            f"{need.host} is not ready, nothing was changed. {count} {'thing has' if count == 1 else 'things have'} to be mended:\n{listed}",
            failures=list(findings.failures),
        )
    return {"changed": False, "failures": []}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
