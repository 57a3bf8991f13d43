#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: network_lines
version_added: 1.0.0
author: The airgap.mlops maintainers (@airgap-mlops)
short_description: Let exactly these connections through in a namespace
description:
  - Refuses every connection to and from the pods of a namespace, then allows a list of lines, each of which says who may connect to whom on which port.
  - Each line becomes one or two NetworkPolicies that are named by it, V(NAME-out) for the pods that it comes from and V(NAME-in) for those that it goes to.
    The policy V(default-deny) refuses the rest.
  - Policies of an earlier list that no line needs any more are removed. Policies that others made are left alone; what they allow is allowed.
  - What a host sends to its own pods, such as the probes of the kubelet, always passes.
options:
  lines:
    description:
      - The lines.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the line, as part of a name in Kubernetes.
        type: str
        required: true
      from:
        description:
          - Who opens the connection. The name of a component (the label C(app.kubernetes.io/name) of its pods), V(all) pods of the namespace,
            V(NAMESPACE/NAME) or V(NAMESPACE/*) for pods elsewhere in the cluster, a network in CIDR form, or V(outside) for whoever reaches a node port.
        type: str
        required: true
      to:
        description:
          - Who is connected to. As O(lines[].from), but V(dns), the cluster's resolver, in place of V(outside).
        type: str
        required: true
      port:
        description: Port of the pod that is connected to. The port of its Service may be another one.
        type: int
        required: true
      protocols:
        description: What is spoken on that port.
        type: list
        elements: str
        choices: [TCP, UDP, SCTP]
        default: [TCP]
  clients:
    description:
      - Networks that V(outside) stands for.
      - A client of a node port on a node that does not run the pod is seen with an address of that node. So where there are several nodes, other networks
        than V(0.0.0.0/0) have it that only the node that runs the pod answers clients.
    type: list
    elements: str
    default: ["0.0.0.0/0"]
  pod_networks:
    description:
      - The networks of all pods of the cluster. They are never V(outside).
    type: list
    elements: str
    default: [10.42.0.0/16]
  labels:
    description:
      - Labels of the policies. Those that have all of them count as made by this module.
    type: dict
    default:
      app.kubernetes.io/part-of: airgap-mlops
      app.kubernetes.io/managed-by: ansible
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: A web server that clients reach, and its database
  airgap.mlops.network_lines:
    namespace: shop
    lines:
      - {name: web-to-database, from: web, to: database, port: 5432}
      - {name: clients-to-web, from: outside, to: web, port: 8080}
      - {name: web-to-payments, from: web, to: 192.0.2.7/32, port: 443}
      - {name: metrics, from: monitoring/prometheus, to: web, port: 9100}
      - {name: all-to-dns, from: all, to: dns, port: 53, protocols: [UDP, TCP]}
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, a line for each policy.
  type: list
  elements: str
  returned: always
  sample:
    - create network policy web-to-database-out
"""
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeClient, api_path, kube_client
from ansible_collections.airgap.mlops.plugins.module_utils._network_lines import (
    PolicyStep,
    parse_lines,
    parse_outside,
    plan_policies,
    policies,
)

_API = "networking.k8s.io/v1"
_LINE_ARGS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "from": {"type": "str", "required": True},
    "to": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "protocols": {"type": "list", "elements": "str", "choices": ["TCP", "UDP", "SCTP"], "default": ["TCP"]},
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "lines": {"type": "list", "elements": "dict", "required": True, "options": _LINE_ARGS},
    "clients": {"type": "list", "elements": "str", "default": ["0.0.0.0/0"]},
    "pod_networks": {"type": "list", "elements": "str", "default": ["10.42.0.0/16"]},
    "labels": {
        "type": "dict",
        "default": {"app.kubernetes.io/part-of": "airgap-mlops", "app.kubernetes.io/managed-by": "ansible"},
    },
    **KUBE_ARGS,
}


class PolicyStore:
    """The NetworkPolicies of one namespace."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def read(self) -> list[dict[str, t.Any]]:
        found = self._client.request(
            "GET",
            api_path(_API, "networkpolicies", self._namespace),
            doing=f"list network policies of {self._namespace}",
        )
        return list(found["items"])

    def node_pods(self) -> list[str]:
        """Each node's part of the pod network."""
        nodes = self._client.request("GET", api_path("v1", "nodes"), doing="list nodes")["items"]
        return [part for node in nodes for part in node["spec"].get("podCIDRs") or []]

    def apply(self, step: PolicyStep) -> None:
        doing = f"{step.verb} network policy {self._namespace}/{step.name}"
        one = api_path(_API, "networkpolicies", self._namespace, step.name)
        body: dict[str, t.Any] = {
            "apiVersion": _API,
            "kind": "NetworkPolicy",
            "metadata": {"name": step.name, "labels": dict(step.labels)},
            "spec": step.spec,
        }
        if step.stored is None:
            self._client.request("POST", api_path(_API, "networkpolicies", self._namespace), body=body, doing=doing)
        elif step.verb == "remove":
            self._client.request("DELETE", one, doing=doing)
        else:
            # Others' labels stay; refused when somebody was faster.
            body["metadata"] = {
                **step.stored["metadata"],
                "labels": {**(step.stored["metadata"].get("labels") or {}), **step.labels},
            }
            self._client.request("PUT", one, body=body, doing=doing)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    lines = parse_lines(params["lines"])
    parse_outside(params["clients"], params["pod_networks"], [])  # before anything is asked of the cluster
    store = PolicyStore(kube_client(params["kubeconfig"]), params["namespace"])
    outside = parse_outside(params["clients"], params["pod_networks"], store.node_pods())
    labels = {str(key): str(value) for key, value in params["labels"].items()}
    plan = plan_policies(policies(lines, outside), store.read(), labels)
    if not module.check_mode:
        for step in plan.steps:
            store.apply(step)
    result: dict[str, t.Any] = {"changed": plan.changed, "actions": plan.actions}
    return {**result, "diff": plan.diff} if module._diff else result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
