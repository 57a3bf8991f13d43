"""The last thing that `make demo` shows: what runs where, how it is, and where its password is."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from tests.demo.cluster import Cluster

__all__ = ("format_table", "services")

_INSIDE = "inside the cluster"


class _Service(t.NamedTuple):
    name: str
    url: str
    deployment: str
    secret: str


_SERVICES = (
    _Service("MLflow", "http://{address}:30001", "mlflow", ""),
    _Service("MindsDB", "http://{address}:30002", "mindsdb", "mindsdb-secret"),
    _Service("Gateway", "http://{address}:30003/docs", "gateway", "gateway-keys"),
    _Service("PostgreSQL", f"postgresql:5432 ({_INSIDE})", "postgresql", "postgresql-secret"),
    _Service("MinIO", f"minio:9000 ({_INSIDE})", "minio", "minio-secret"),
    _Service("Redis", f"redis:6379 ({_INSIDE})", "redis", "redis-secret"),
)


def services(cluster: Cluster) -> list[tuple[str, str, str, str]]:
    """Rows: service, URL, state, where the password is."""
    ready = {item["metadata"]["name"]: item for item in cluster.deployments()}
    rows = []
    for service in _SERVICES:
        deployment = ready.get(service.deployment)
        where = f"secret {service.secret}" if service.secret else "no login"
        rows.append((service.name, service.url.format(address=cluster.node.address), _state(deployment), where))
    api = "ready" if cluster.kubectl("get", "--raw", "/readyz") == "ok" else "not ready"
    rows.append(("Kubernetes", f"https://{cluster.node.address}:6443", api, "/etc/rancher/k3s/k3s.yaml on the node"))
    return rows


def _state(deployment: dict[str, t.Any] | None) -> str:
    if deployment is None:
        return "missing"
    have, want = deployment["status"].get("readyReplicas", 0), deployment["spec"]["replicas"]
    return "ready" if have == want else f"{have} of {want} ready"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
