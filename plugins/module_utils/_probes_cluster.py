# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""The cluster as probes reach it: a way in to its services, its Secrets and its nodes. I/O."""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube import api_path, kube_client, read_secret
from ansible_collections.airgap.mlops.plugins.module_utils._portforward import PortForward

__all__ = ("Cluster",)

Options = t.Mapping[str, t.Any]


class Cluster:
    """Where the services are: one namespace of one cluster."""

    def __init__(self, params: Options) -> None:
        self.params = params
        self.namespace = params["namespace"]
        self.client = kube_client(params["kubeconfig"])
        self.forward = PortForward(self.client, self.namespace)

    def secret(self, name: str, key: str) -> str:
        values = read_secret(self.client, self.namespace, name)
        if not values.get(key):
            raise AirgapError(f"Secret {self.namespace}/{name} has no value under {key}")
        return values[key]

    def node_addresses(self) -> list[str]:
        nodes = self.client.request("GET", api_path("v1", "nodes"), doing="list the nodes")["items"]
        return [
            str(entry["address"])
            for node in nodes
            for entry in node["status"]["addresses"]
            if entry["type"] == "InternalIP"
        ]

    def shown(self, options: Options) -> str:
        return f"Service {self.namespace}/{options['service']}:{options['port']}"
