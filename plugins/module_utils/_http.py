# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""A urllib3 pool whose connections may come from anywhere, such as a Kubernetes port-forward."""

from __future__ import annotations

import ssl
import traceback
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

if t.TYPE_CHECKING:
    import socket

    from urllib3 import PoolManager

    Connect = t.Callable[[], socket.socket]

try:
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    URLLIB3_IMPORT_ERROR = ""
except ImportError:
    URLLIB3_IMPORT_ERROR = traceback.format_exc()

__all__ = ("open_pool",)

_TIMEOUT = 30
# A server that has only just become ready still answers 503 for a moment; waits 0, 1, 2 and 4 seconds.
_RETRIES = 4


def open_pool(*, connect: Connect | None = None, tls: bool = False, ca_path: str | None = None) -> PoolManager:
    """A pool that connects by itself, or gets each socket from `connect` whatever host a URL names.

    It knows nothing of proxies: a node's http_proxy must not see what goes to the site's own services.
    """
    if URLLIB3_IMPORT_ERROR:
        raise AirgapError(missing_required_lib("urllib3"), exception=URLLIB3_IMPORT_ERROR)
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=_TIMEOUT, read=_TIMEOUT),
        retries=urllib3.Retry(
            total=_RETRIES, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504), raise_on_status=False
        ),
        ssl_context=ssl.create_default_context(cafile=ca_path) if tls else None,
    )
    if connect is not None:
        pool.pool_classes_by_scheme = _pool_classes(connect)
    return pool


def _pool_classes(connect: Connect) -> dict[str, t.Any]:
    """Pool classes by scheme. urllib3 has one place where a connection gets its socket: _new_conn, in 1.26 and 2 alike."""

    def connected() -> socket.socket:
        sock = connect()
        sock.settimeout(_TIMEOUT)
        return sock

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connected()

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connected()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
