# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils import _probes_mindsdb
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._probes import Check, run_probes

OPTIONS = {"service": "mindsdb", "port": 47334, "node_port": 30002, "secret": {"name": "mindsdb-secret"}}


class Cluster:
    def __init__(self) -> None:
        self.params = {"namespace": "mlops", "kubeconfig": "/x"}

    def shown(self, options: t.Any) -> str:
        return "Service mlops/mindsdb:47334"

    def node_addresses(self) -> list[str]:
        return ["10.0.0.1", "fd00::1"]


class Server:
    rows: t.ClassVar[list[dict[str, t.Any]]] = [{"one": 1}]

    def ask(self, method: str, where: str, *, doing: str) -> t.Any:
        return {"/projects/": [{"name": "mindsdb"}], "/status": {"mindsdb_version": "26.1.0"}}[where]

    def sql(self, statement: str, *, doing: str) -> list[dict[str, t.Any]]:
        return self.rows


@pytest.fixture
def urls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Status by URL; others do not answer."""
    known = {
        "http://mindsdb:47334/": 404,
        "http://10.0.0.1:30002/api/util/ping": 200,
        "http://[fd00::1]:30002/api/util/ping": 200,
    }

    def status(pool: t.Any, url: str) -> int:
        if url not in known:
            raise AirgapError(f"nothing answers GET {url}")
        return known[url]

    monkeypatch.setattr(_probes_mindsdb, "open_pool", lambda **options: None)
    monkeypatch.setattr(_probes_mindsdb, "open_server", lambda params: contextlib.nullcontext(Server()))
    monkeypatch.setattr(_probes_mindsdb, "_status", status)
    return known


def checks() -> list[Check]:
    cluster = t.cast("t.Any", Cluster())
    return run_probes(_probes_mindsdb.mindsdb_probes(cluster, OPTIONS, False))


@pytest.mark.parametrize(
    ("status", "pages"),
    [(404, "without its web pages, which the bundle does not hold"), (200, "with its web pages")],
)
def test_a_server_that_works_says_what_it_is(urls: dict[str, int], status: int, pages: str) -> None:
    urls["http://mindsdb:47334/"] = status
    found = checks()
    assert all(check.healthy for check in found)
    assert [check.detail for check in found] == [
        "1 projects",
        "SELECT 1 gives 1",
        f"version 26.1.0, {pages}",
        "ok",
        "ok",
    ]


def test_what_does_not_work_is_told_apart(urls: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "rows", [{"one": 2}])
    urls["http://10.0.0.1:30002/api/util/ping"] = 503
    del urls["http://[fd00::1]:30002/api/util/ping"]
    assert [check.detail for check in checks() if not check.healthy] == [
        "SELECT 1 gave [{'one': 2}]",
        "GET http://10.0.0.1:30002/api/util/ping answers 503",
        "nothing answers GET http://[fd00::1]:30002/api/util/ping",
    ]
