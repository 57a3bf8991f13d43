#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_info
short_description: Read what k3s on a node is, what runs of it, and whether it is ready
version_added: 1.0.0
author:
  - The airgap.mlops maintainers (@airgap-mlops)
description:
  - Compares the running process with the files that it would read if it started now, and says which of them differ. RV(restart_required)
    therefore tells the truth also after a run that was cut off, after a change by hand, and after a reboot.
  - Reads the API as the node's own administrator (server) or as its kubelet (agent).
  - Never returns a token.
extends_documentation_fragment:
  - airgap.mlops._k3s
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_k3s
options:
  role:
    description:
      - Which service is meant. By default the one that is installed.
    type: str
    choices: [server, agent]
  cluster:
    description:
      - Whether to ask the API about nodes and CoreDNS.
    type: bool
    default: true
  dns:
    description:
      - Whether a server without a working CoreDNS counts as not ready.
    type: bool
    default: true
  process:
    description:
      - Whether to compare the running process with the files, which takes a sum of the binary.
    type: bool
    default: true
  planned:
    description:
      - Files that are still to be written or removed, as RV(airgap.mlops.node_files#module:contents) names them in check mode. The process is compared
        with these in place of the files as they are.
    type: dict
    default: {}
  wait:
    description:
      - Whether to wait until the node is ready, and to fail when it is not within O(wait_timeout).
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Read the state of k3s
  airgap.mlops.k3s_info:
  register: k3s

- name: Restart it when it does not run what is installed
  ansible.builtin.systemd_service:
    name: "{{ k3s.unit.name }}"
    state: restarted
    daemon_reload: true
    no_block: true
  when: k3s.restart_required

- name: Wait until the node is ready
  airgap.mlops.k3s_info:
    wait: true
"""

RETURN = r"""
role:
  description: V(server) or V(agent); null when k3s is not installed.
  returned: always
  type: str
hostname:
  description: The host's own name for itself.
  returned: always
  type: str
installed:
  description: The binary on the disk. Its digest only when O(process=true).
  returned: always
  type: dict
  sample: {version: v1.35.4+k3s1, sha256: 5f1c…}
running:
  description: The process, and the version it was started from.
  returned: always
  type: dict
  sample: {version: v1.35.4+k3s1, pid: 712}
unit:
  description: The service.
  returned: always
  type: dict
  sample: {name: k3s, loaded: true, enabled: true, state: active, restarts: 0}
restart_required:
  description: Whether the running process differs from what is installed.
  returned: when O(process=true)
  type: bool
restart_reasons:
  description: In what it differs.
  returned: when O(process=true)
  type: list
  elements: str
  sample: ["/etc/rancher/k3s/config.yaml has changed since the start"]
ready:
  description: Whether API, node and CoreDNS are ready.
  returned: when O(cluster=true)
  type: bool
missing:
  description: The first thing that is missing for readiness.
  returned: when O(cluster=true) and not ready
  type: str
node:
  description: The Node object in short.
  returned: when O(cluster=true)
  type: dict
members:
  description: Count of nodes and servers, and whether enough servers are ready to form a quorum.
  returned: on a ready server, when O(cluster=true)
  type: dict
cluster_id:
  description: Digest of the cluster's CA, as tokens carry it; null when there is none yet.
  returned: always
  type: str
token_present:
  description: Whether the node holds a server token.
  returned: always
  type: bool
certificates:
  description: The certificates with their dates, the first to expire first.
  returned: when O(process=true)
  type: list
  elements: dict
  sample: [{path: /var/lib/rancher/k3s/agent/client-kubelet.crt, not_after: "2027-04-20T09:00:00+00:00", days_left: 364}]
network:
  description: Default routes and addresses that a cluster may use.
  returned: always
  type: dict
volumes:
  description: Directories of the volumes that lie on the node, made by local-path.
  returned: always
  type: list
  elements: str
  sample: [pvc-0c7f5b52-7d0b-4a3c-9f55-0b1a6a9a2d3e_mlops_pg-pvc]
"""

import dataclasses
import datetime
import platform
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_k3s import K3S_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_host import K3sHost
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_state import (
    members,
    missing_for_readiness,
    planned_sums,
    restart_reasons,
)

ARGUMENT_SPEC: dict[str, t.Any] = {
    "role": {"type": "str", "choices": ["server", "agent"]},
    "cluster": {"type": "bool", "default": True},
    "dns": {"type": "bool", "default": True},
    "process": {"type": "bool", "default": True},
    "planned": {"type": "dict", "default": {}},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 300},
    **K3S_ARGS,
}

_POLL_SECONDS = 1.0
# A service that systemd has started this often again is not slow, it is broken.
_CRASH_LOOP = 6


def describe_certificates(host: K3sHost, now: datetime.datetime) -> list[dict[str, t.Any]]:
    return [
        {
            "path": path,
            "not_before": certificate.not_before.isoformat(),
            "not_after": certificate.not_after.isoformat(),
            "days_left": (certificate.not_after - now).days,
        }
        for path, certificate in sorted(host.certificates(), key=lambda item: item[1].not_after)
    ]


def describe_host(host: K3sHost) -> dict[str, t.Any]:
    unit, started = host.unit(), host.started()
    on_record = unit.running and started.invocation == unit.invocation
    return {
        "role": host.role,
        "hostname": platform.node(),
        "installed": {"version": host.installed_version(), "sha256": None},
        "running": {"version": started.version if on_record else None, "pid": unit.pid or None},
        "unit": {
            key: value for key, value in dataclasses.asdict(unit).items() if key not in ("pid", "invocation", "started")
        },
        "cluster_id": host.cluster_id(),
        "token_present": bool(host.token()),
        "network": {"default_routes": host.routes(), "addresses": host.addresses()},
        "volumes": host.volumes(),
    }


def describe_process(host: K3sHost, planned: t.Mapping[str, str | None]) -> dict[str, t.Any]:
    sums = host.sums() if host.role else {}
    wanted = planned_sums(sums, planned, host.start_patterns())
    reasons = restart_reasons(host.unit(), host.started(), wanted) if host.role else []
    return {
        "restart_required": bool(reasons),
        "restart_reasons": reasons,
        "certificates": describe_certificates(host, datetime.datetime.now(datetime.timezone.utc)),
        "sha256": sums.get(host.k3s),
    }


def describe_cluster(host: K3sHost, version: str | None, dns: bool, thorough: bool = False) -> dict[str, t.Any]:
    """`thorough`: ask the API server about itself first. Otherwise its answer about the nodes is proof enough."""
    unit = host.unit()
    api = host.api_problem() if unit.running and thorough else None
    nodes = host.nodes() if unit.running and not api else []
    if unit.running and not nodes and not thorough:
        api = host.api_problem()
    name = host.node_name()
    node = next((node for node in nodes if node.name == name), None)
    # both clocks of this machine: systemd gives the one, the kubelet writes the other
    since = time.time() - time.monotonic() + unit.started / 1e6
    missing = missing_for_readiness(unit, version, api, node, None, since)
    if missing is None and dns and host.role == "server":
        missing = host.dns_problem()
    return {
        "ready": missing is None,
        "missing": missing,
        "node": dataclasses.asdict(node) if node else None,
        "members": members(nodes) if host.role == "server" and nodes else None,
    }


def wait_until_ready(host: K3sHost, version: str | None, dns: bool, timeout: int) -> dict[str, t.Any]:
    deadline = time.monotonic() + timeout
    before = host.unit().restarts
    while True:
        cluster = describe_cluster(host, version, dns, thorough=True)
        if cluster["ready"]:
            return cluster
        # systemd counts on from before k3s was mended, unless it was stopped in between
        restarts = host.unit().restarts
        before = min(before, restarts)
        looping = restarts - before >= _CRASH_LOOP
        if looping or time.monotonic() >= deadline:
            name = host.unit().name
            how = (
                f"{name}.service ends and is started again and again"
                if looping
                else f"k3s is not ready after {timeout} s"
            )
            raise AirgapError(
                f"{how}: {cluster['missing']}. What its journal says (journalctl -u {name}):\n{host.journal()}",
                **cluster,
            )
        time.sleep(_POLL_SECONDS)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    host = K3sHost(module.run_command, params["k3s"], params["data_dir"], params["role"])
    if params["wait"]:
        wait_until_ready(host, host.installed_version(), params["dns"], params["wait_timeout"])
    result: dict[str, t.Any] = {"changed": False, **describe_host(host)}
    if params["process"]:
        process = describe_process(host, params["planned"])
        result["installed"]["sha256"] = process.pop("sha256")
        result.update(process)
    if params["cluster"]:
        result.update(describe_cluster(host, result["installed"]["version"], params["dns"]))
    return result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
