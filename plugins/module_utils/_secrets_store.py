# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Secrets of one namespace: read them, carry a plan out, make random values. I/O."""

from __future__ import annotations

import base64
import secrets
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._kube import (
    KubeClient,
    KubeError,
    Object,
    api_path,
    read_secret_object,
)
from ansible_collections.airgap.mlops.plugins.module_utils._secrets import (
    ALPHABETS,
    KeySpec,
    SecretChange,
    StoredSecret,
)

__all__ = ("SecretStore", "generate", "stored_secret")


def generate(spec: KeySpec) -> str:
    """A random value from the operating system's source."""
    alphabet = ALPHABETS[spec.alphabet]
    return "".join(secrets.choice(alphabet) for _index in range(spec.length))


class SecretStore:
    """The Secrets of one namespace."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def read(self, names: t.Iterable[str]) -> dict[str, StoredSecret]:
        """Return those of the names that exist."""
        found = {name: read_secret_object(self._client, self._namespace, name) for name in names}
        return {name: stored_secret(secret) for name, secret in found.items() if secret is not None}

    def apply(self, change: SecretChange) -> StoredSecret:
        """Write one change in one request, and return what the cluster then has."""
        data = {key: base64.b64encode(value).decode() for key, value in change.data.items()}
        metadata: Object = {"name": change.name, "labels": dict(change.labels)}
        body: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        method, path = "POST", api_path("v1", "secrets", self._namespace)
        if change.stored is None:
            body["type"] = "Opaque"
        else:
            metadata["resourceVersion"] = change.stored.resource_version  # refused when somebody was faster
            method, path = "PATCH", api_path("v1", "secrets", self._namespace, change.name)
        doing = f"write secret {self._namespace}/{change.name}"
        try:
            return stored_secret(self._client.request(method, path, body=body, doing=doing))
        except KubeError as exc:
            if exc.status == 409:
                raise KubeError(
                    f"secret {self._namespace}/{change.name} was changed by somebody else meanwhile; run again"
                ) from exc
            raise


def stored_secret(secret: Object) -> StoredSecret:
    """A Secret of the API, decoded."""
    metadata = secret["metadata"]
    return StoredSecret(
        uid=metadata["uid"],
        data={key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()},
        labels=dict(metadata.get("labels") or {}),
        resource_version=metadata["resourceVersion"],
        immutable=bool(secret.get("immutable")),
    )
