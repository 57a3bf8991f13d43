# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""A MindsDB server over its HTTP API: log in, ask, and turn every failure into one of ours. I/O.

mindsdb-sdk speaks the same API, but brings pandas to every node, and has no way to give it a socket of our own.
"""

from __future__ import annotations

import contextlib
import json
import typing as t
from urllib.parse import quote as url_quote

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._http import open_pool
from ansible_collections.airgap.mlops.plugins.module_utils._kube import kube_client, read_secret
from ansible_collections.airgap.mlops.plugins.module_utils._portforward import PortForward

with contextlib.suppress(ImportError):  # open_pool() reports it, and nothing is asked before that
    from urllib3.exceptions import HTTPError

__all__ = (
    "Credentials",
    "MindsdbRefused",
    "MindsdbServer",
    "MindsdbUnreachable",
    "open_server",
    "path",
    "read_secret_key",
)

# The first question to an engine loads it in a process of its own, which takes a slow node its time.
_PATIENT = 180.0


class MindsdbRefused(AirgapError):
    """The server answered, and said no."""


class MindsdbUnreachable(AirgapError):
    """Nothing answers, or what answers is not MindsDB."""


class Credentials(t.NamedTuple):
    user: str
    password: str
    origin: str  # where they stand, for messages

    def __repr__(self) -> str:
        return f"Credentials({self.user!r} of {self.origin})"


def path(*parts: str) -> str:
    """An API path; no part of it can become two."""
    return "".join(f"/{url_quote(part, safe='')}" for part in parts)


def read_secret_key(params: t.Mapping[str, t.Any], name: str, key: str, option: str) -> str:
    """One value of a Secret in the module's namespace. `option` is what the user has to mend."""
    values = read_secret(kube_client(params["kubeconfig"]), params["namespace"], name)
    if not values.get(key):
        raise AirgapError(
            f"secret {params['namespace']}/{name} has no value under {key}: it has {', '.join(sorted(values)) or 'no keys'}. "
            f"Name the right key in {option}, or mend the secret."
        )
    return values[key]


def _credentials(params: t.Mapping[str, t.Any]) -> Credentials:
    if params["login_user"]:
        return Credentials(params["login_user"], params["login_password"], "login_user and login_password")
    secret = params["login_secret"]
    user, password = (
        read_secret_key(params, secret["name"], secret[key], "login_secret") for key in ("username", "password")
    )
    return Credentials(user, password, f"secret {params['namespace']}/{secret['name']}")


@contextlib.contextmanager
def open_server(params: t.Mapping[str, t.Any]) -> t.Iterator[MindsdbServer]:
    """The server that a module's options name (see _args_mindsdb), logged in for as long as the block runs."""
    tls = {"tls": params["tls"], "ca_path": params["ca_path"]}
    if params["address"]:
        pool, host, shown = open_pool(**tls), params["address"], f"MindsDB at {params['address']}"
    else:
        service, port = params["service"], params["port"]
        forward = PortForward(kube_client(params["kubeconfig"]), params["namespace"])
        pool = open_pool(connect=lambda: forward.connect(service, port), **tls)
        host, shown = f"{service}:{port}", f"MindsDB behind service {params['namespace']}/{service}"
    scheme = "https" if params["tls"] else "http"
    server = MindsdbServer(pool=pool, base=f"{scheme}://{host}/api", shown=shown, credentials=_credentials(params))
    server.login()
    try:
        yield server
    finally:
        pool.clear()


class MindsdbServer:
    """One server, as one user."""

    def __init__(self, *, pool: t.Any, base: str, shown: str, credentials: Credentials) -> None:
        self._pool = pool
        self._base = base
        self._credentials = credentials
        self._headers: dict[str, str] = {}
        self.shown = shown

    def login(self) -> None:
        """Get a session. Nobody logs out: that would take the site's one token, where it has one, from all who use it."""
        self._headers = {}
        doing = f"log in as {self._credentials.user}"
        given = {"username": self._credentials.user, "password": self._credentials.password}
        status, answer = self._request("POST", "/login", given, doing)
        if status == 401:
            raise MindsdbRefused(
                f"{self.shown} does not take the login of {self._credentials.user} from {self._credentials.origin}. "
                "Name the right one; a server takes a changed password only when it starts.",
                status=status,
            )
        token = answer.get("token") if isinstance(answer, dict) else None
        if status != 200 or not (self._headers or token):
            raise MindsdbRefused(f"{self.shown} refused to {doing}: {_reason(status, answer)}", status=status)
        if not self._headers:  # a server that lets in by token alone
            self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, where: str, body: t.Any = None, *, doing: str) -> t.Any:
        """The JSON that the server answers; None where it answers 404."""
        status, answer = self._request(method, where, body, doing)
        if status == 401:
            self.login()
            status, answer = self._request(method, where, body, doing)
        if status == 404:
            return None
        if status >= 400:
            raise MindsdbRefused(f"{self.shown} refused to {doing}: {_reason(status, answer)}", status=status)
        return answer

    def sql(self, statement: str, *, doing: str, project: str = "mindsdb") -> list[dict[str, t.Any]]:
        """Run one statement; the rows of its answer, with names in lower case."""
        answer = self.ask("POST", "/sql/query", {"query": statement, "context": {"db": project}}, doing=doing)
        kind = answer.get("type") if isinstance(answer, dict) else None
        if kind == "error":
            raise MindsdbRefused(f"{self.shown} refused to {doing}: {str(answer.get('error_message')).strip()}")
        if kind == "ok":
            return []
        if kind != "table":
            raise MindsdbUnreachable(
                f"{self.shown} answered something else than MindsDB's SQL API does: could not {doing}"
            )
        names = [str(name).lower() for name in answer["column_names"]]
        return [dict(zip(names, row)) for row in answer["data"]]  # noqa: B905 - strict= is Python 3.10's

    def _request(self, method: str, where: str, body: t.Any, doing: str) -> tuple[int, t.Any]:
        headers = {**self._headers, "Content-Type": "application/json", "Accept": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        # A GET that failed is asked again by the pool. What changes something is not: the server's 500 is its answer.
        retries = {} if method == "GET" else {"retries": False}
        try:
            answer = self._pool.request(
                method, self._base + where, body=data, headers=headers, timeout=_PATIENT, redirect=False, **retries
            )
        except (HTTPError, OSError) as exc:
            raise MindsdbUnreachable(
                f"{self.shown} does not answer ({_cause(exc)}): could not {doing}. Is the server up, and its address right?"
            ) from exc
        if "Set-Cookie" in answer.headers:
            self._headers["Cookie"] = answer.headers["Set-Cookie"].split(";", 1)[0]
        if not answer.data:
            return answer.status, None
        try:
            return answer.status, json.loads(answer.data)
        except ValueError:
            raise MindsdbUnreachable(
                f"{self.shown} answered {answer.status} with something that is not JSON: could not {doing}. Is it MindsDB?"
            ) from None


def _cause(exc: t.Any) -> str:
    """What happened, without the library's names of itself around it."""
    inner = getattr(exc, "reason", None) or exc
    if len(inner.args) > 1 and isinstance(inner.args[-1], Exception):
        inner = inner.args[-1]
    return str(inner).split(": ", 1)[-1]


def _reason(status: int, answer: t.Any) -> str:
    """The server's own words."""
    if isinstance(answer, dict):
        for key in ("detail", "message", "title", "error_message"):
            if answer.get(key):
                return str(answer[key]).strip()
    return f"status {status}"
