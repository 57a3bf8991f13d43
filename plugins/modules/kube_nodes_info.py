#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: kube_nodes_info
version_added: 1.0.0
author: The airgap.mlops maintainers (@airgap-mlops)
short_description: The nodes of the cluster and how they are addressed
description:
  - Lists every node of the cluster with the addresses and names that the cluster knows it by.
  - O(namespace) is not used, as nodes are in none. It is there for the defaults of the action group.
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
"""

EXAMPLES = r"""
- name: Know by which addresses clients may reach a node port
  airgap.mlops.kube_nodes_info:
  register: cluster

- name: Show them
  ansible.builtin.debug:
    msg: "{{ cluster.nodes | map(attribute='addresses') | flatten }}"
"""

RETURN = r"""
nodes:
  description: The nodes, by name.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the node.
      type: str
      sample: quarry-1
    ready:
      description: Whether the node is ready for pods.
      type: bool
    addresses:
      description: Its addresses and host names, as the cluster has them.
      type: list
      elements: str
      sample: [10.20.0.11, quarry-1]
"""
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube import Object, api_path, kube_client

ARGUMENT_SPEC: dict[str, t.Any] = {**KUBE_ARGS}


def describe(node: Object) -> dict[str, t.Any]:
    status = node["status"]
    addresses = [str(entry["address"]) for entry in status.get("addresses", ())]
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions", ()))
    return {"name": node["metadata"]["name"], "ready": ready, "addresses": list(dict.fromkeys(addresses))}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        client = kube_client(module.params["kubeconfig"])
        found = client.request("GET", api_path("v1", "nodes"), doing="list the nodes")["items"]
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, nodes=sorted(map(describe, found), key=lambda node: str(node["name"])))


if __name__ == "__main__":
    main()
