# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options of every module that talks to the cluster. Twin of doc_fragments/_kube.py: change both."""

from __future__ import annotations

import typing as t

__all__ = ("KUBE_ARGS", "secret_reference")

KUBE_ARGS: dict[str, t.Any] = {
    "kubeconfig": {"type": "path", "default": "/etc/rancher/k3s/k3s.yaml"},
    "namespace": {"type": "str", "default": "mlops"},
}


def secret_reference(*keys: str) -> dict[str, t.Any]:
    """The spec of an option that names a Kubernetes Secret and the keys in it. It holds names, nothing secret."""
    options: dict[str, t.Any] = {"name": {"type": "str", "required": True}}
    for key in keys:
        options[key] = {"type": "str", "default": key, "no_log": False}
    return {"type": "dict", "no_log": False, "options": options}
