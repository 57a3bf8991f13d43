# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options of every module that talks to the cluster. Twin of module_utils/_args_kube.py: change both."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - File that says where the cluster's API server is and how to log in. It is read on the host the module runs on.
    type: path
    default: /etc/rancher/k3s/k3s.yaml
  namespace:
    description:
      - Namespace of the platform.
    type: str
    default: mlops
requirements:
  - PyYAML >= 5.4
  - websocket-client >= 1.6.0 (to reach a Service)
"""
