# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""The probes of MindsDB, through the API that its clients speak. They only read. I/O."""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._http import open_pool
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import open_server
from ansible_collections.airgap.mlops.plugins.module_utils._probes import Probe
from ansible_collections.airgap.mlops.plugins.module_utils._probes_http import outside_probes, send

if t.TYPE_CHECKING:
    from ansible_collections.airgap.mlops.plugins.module_utils._probes_cluster import Cluster

__all__ = ("mindsdb_probes",)

Options = t.Mapping[str, t.Any]


def mindsdb_probes(cluster: Cluster, options: Options, check_mode: bool) -> list[Probe]:
    """It lets its user in, reads its database, answers SQL, and answers on every node's port."""
    where = {"service": options["service"], "port": options["port"], "login_secret": options["secret"]}
    params = {**cluster.params, **where, "address": None, "tls": False, "ca_path": None, "login_user": None}

    def read_projects() -> str:
        with open_server(params) as server:
            found = server.ask("GET", "/projects/", doing="list its projects")
        return f"{len(found)} projects"

    def answer_sql() -> str:
        with open_server(params) as server:
            rows = server.sql("SELECT 1 AS one", doing="answer SQL")
        if [list(row.values()) for row in rows] != [[1]]:
            raise AirgapError(f"SELECT 1 gave {rows}")
        return "SELECT 1 gives 1"

    def describe() -> str:
        with open_server(params) as server:
            status = server.ask("GET", "/status", doing="say its version")
        return f"version {status['mindsdb_version']}, {pages()}"

    def pages() -> str:
        """Its own web pages are in no package: a site has them where its bundle was given them."""
        pool = open_pool(connect=lambda: cluster.forward.connect(options["service"], options["port"]))
        found = _status(pool, f"http://{options['service']}:{options['port']}/") == 200
        return "with its web pages" if found else "without its web pages, which the bundle does not hold"

    shown = cluster.shown(options)
    probes = [
        Probe("mindsdb", shown, "log in and read its projects from its database", read_projects),
        Probe("mindsdb", shown, "answer SQL", answer_sql),
        Probe("mindsdb", shown, "say what it is", describe),
    ]
    if options["node_port"]:
        probes += outside_probes("mindsdb", cluster.node_addresses(), options["node_port"], "/api/util/ping", _ping)
    return probes


def _ping(url: str) -> str:
    status = _status(open_pool(), url)
    if status != 200:
        raise AirgapError(f"GET {url} answers {status}")
    return "ok"


def _status(pool: t.Any, url: str) -> int:
    return send(pool, "GET", url)[0]
