# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""The probes of the gateway, through the API that its clients speak. They only read. I/O."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._http import open_pool
from ansible_collections.airgap.mlops.plugins.module_utils._probes import Probe
from ansible_collections.airgap.mlops.plugins.module_utils._probes_http import outside_probes, send

if t.TYPE_CHECKING:
    from ansible_collections.airgap.mlops.plugins.module_utils._probes_cluster import Cluster

__all__ = ("gateway_probes",)

# An id that no decision has, in the form that all of them have.
_NO_DECISION = "00000000-0000-7000-8000-000000000000"
Options = t.Mapping[str, t.Any]


def gateway_probes(cluster: Cluster, options: Options, check_mode: bool) -> list[Probe]:
    """It can log and reaches what it needs, lets a client in by its key, and answers on every node's port."""
    service, port = options["service"], options["port"]
    inside = f"http://{service}:{port}"
    pool = open_pool(connect=lambda: cluster.forward.connect(service, port))

    def ready() -> str:
        return _readiness(*_get(pool, f"{inside}/readyz"))

    def look_up() -> str:
        key = cluster.secret(options["secret"]["name"], options["secret"]["key"])
        status, text = _get(pool, f"{inside}/v1/decisions/{_NO_DECISION}", {"Authorization": f"Bearer {key}"})
        if status != 404:
            raise AirgapError(f"a look for a decision that was never made answers {status}, not 404: {text[:300]}")
        return "there is none of that id"

    def closed() -> str:
        status, _text = _get(pool, f"{inside}/v1/decisions/{_NO_DECISION}")
        if status != 401:
            raise AirgapError(f"a request without a key answers {status}, not 401")
        return "refused"

    shown = cluster.shown(options)
    probes = [
        Probe("gateway", shown, "reach what it needs", ready),
        Probe("gateway", shown, "let a client in by its key and look for a decision", look_up),
        Probe("gateway", shown, "refuse a client without a key", closed),
    ]
    if options["node_port"]:
        probes += outside_probes("gateway", cluster.node_addresses(), options["node_port"], "/healthz", _outside)
    return probes


def _readiness(status: int, text: str) -> str:
    """Degraded is ready for clients, and yet a fault: what it needs is there or is not."""
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    if status != 200:
        raise AirgapError(f"it answers {status}: {text[:300]}")
    if found.get("down"):
        raise AirgapError(f"it cannot reach {' and '.join(found['down'])}, so it answers from what it has")
    return f"{found.get('unshipped_decisions', 0)} decisions on their way to MLflow"


def _outside(url: str) -> str:
    status, text = _get(open_pool(), url)
    if status != 200:
        raise AirgapError(f"GET {url} answers {status}: {text[:200]}")
    return "ok"


def _get(pool: t.Any, url: str, headers: t.Mapping[str, str] | None = None) -> tuple[int, str]:
    return send(pool, "GET", url, headers=headers)
