# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What probes over HTTP share: a request, with one text for a server that does not answer, and the way in from outside. I/O."""

from __future__ import annotations

import contextlib
import functools
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._probes import Probe

with contextlib.suppress(ImportError):  # open_pool() reports it
    from urllib3.exceptions import HTTPError

__all__ = ("outside_probes", "send")

_TIMEOUT = 15


def send(
    pool: t.Any, method: str, url: str, *, headers: t.Mapping[str, str] | None = None, body: str | None = None
) -> tuple[int, str]:
    """Status and text of the answer, whatever it is."""
    try:
        answer = pool.request(method, url, body=body, headers=headers, retries=False, timeout=_TIMEOUT)
    except (HTTPError, OSError) as exc:
        reason = str(getattr(exc, "reason", None) or exc).split(": ", 1)[-1]
        raise AirgapError(f"nothing answers {method} {url} ({reason})") from exc
    return int(answer.status), str(answer.data.decode("utf-8", "replace"))


def outside_probes(
    component: str, addresses: t.Iterable[str], port: int, path: str, ask: t.Callable[[str], str]
) -> list[Probe]:
    """One for each node, asked as a client outside the cluster does; `ask` gets the URL."""
    hosts = [f"[{address}]" if ":" in address else address for address in addresses]
    urls = [f"http://{host}:{port}{path}" for host in hosts]
    return [Probe(component, url, "answer a client outside the cluster", functools.partial(ask, url)) for url in urls]
