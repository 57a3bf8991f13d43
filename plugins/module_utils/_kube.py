# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""The way into the cluster: requests to its API server as dicts, and every refusal as an error of ours. I/O.

The `kubernetes` library is not used on purpose. Its import builds some 700 classes, half a second of a node's processor in
each of the tasks of a run that changes nothing, and most of that run's time; what modules need of it is below.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import http.client
import json
import re
import socket
import ssl
import time
import typing as t
from urllib.parse import quote, urlencode

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kubeconfig import KubeError, Login, read_kubeconfig

__all__ = (
    "KubeClient",
    "KubeError",
    "Object",
    "api_path",
    "is_to_come",
    "kube_client",
    "read_secret",
    "read_secret_object",
)

_TIMEOUT = 30.0
# Waits before the next try while an API server is starting or too busy, in seconds.
_WAITS = (0.5, 1, 2, 4)
_BUSY = (429, 503)
_WARNING = re.compile(r'^299 \S+ "(?P<text>.*?)"(?: "[^"]*")?$')

Object = dict[str, t.Any]
Query = t.Mapping[str, str]


class KubeClient:
    """Requests to one API server, over one connection that is kept. Not for several threads."""

    def __init__(self, login: Login) -> None:
        self.login = login
        # What the API server warns of, such as a pod that a Pod Security level forbids, each once.
        self.warnings: dict[str, None] = {}
        self._connection: t.Any = None

    def request(self, method: str, path: str, *, doing: str, query: Query | None = None, body: t.Any = None) -> Object:
        """Return the answer's object. `doing` begins the message of what goes wrong: `read secret mlops/x`.

        A PATCH is a merge; apply() is for server-side apply.
        """
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return self._object(self._send(method, path, query, body, kind, doing), doing)

    def apply(self, path: str, *, doing: str, query: Query, body: Object) -> Object:
        """Server-side apply. JSON is YAML, which is what this content type says."""
        return self._object(self._send("PATCH", path, query, body, "application/apply-patch+yaml", doing), doing)

    def find(self, path: str, *, doing: str) -> Object | None:
        """The object, or None where there is none (nor its namespace, nor its kind)."""
        try:
            return self.request("GET", path, doing=doing)
        except KubeError as exc:
            if exc.status == 404:
                return None
            raise

    def text(self, path: str, *, doing: str, query: Query | None = None) -> str:
        return self._send("GET", path, query, None, "", doing).decode("utf-8", "replace")

    def socket(self) -> socket.socket:
        """A connection of its own to the API server, for what is no plain request. TLS and all, but not logged in by token."""
        sock = socket.create_connection((self.login.host, self.login.port), _TIMEOUT)
        if self.login.tls is None:
            return sock
        return self.login.tls.wrap_socket(sock, server_hostname=self.login.server_name)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.login.token}"} if self.login.token else {}

    def _object(self, content: bytes, doing: str) -> Object:
        try:
            found: Object = json.loads(content)
        except ValueError as exc:
            raise KubeError(f"Cannot {doing}: the API server answers no JSON: {content[:200]!r}") from exc
        return found

    def _send(self, method: str, path: str, query: Query | None, body: t.Any, kind: str, doing: str) -> bytes:
        url = f"{self.login.path}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {**self.headers(), "Accept": "*/*"}
        content = None
        if body is not None:
            content, headers["Content-Type"] = json.dumps(body).encode(), kind
        waits = list(_WAITS)
        while True:
            try:
                answer = self._once(method, url, content, headers)
                data: bytes = answer.read()
            except (http.client.HTTPException, OSError) as exc:
                self.close()
                if not waits or not _may_be_sent_again(method, exc):
                    raise KubeError(
                        f"Cannot {doing}: the API server cannot be reached ({exc}). Check that k3s is running."
                    ) from exc
            else:
                for text in answer.headers.get_all("Warning", []):
                    found = _WARNING.match(text)
                    self.warnings[found["text"].replace('\\"', '"') if found else text] = None
                if answer.status < 400:
                    return data
                if not waits or answer.status not in _BUSY:
                    raise KubeError(
                        f"Cannot {doing}: the API server answers {_reason(answer.status, answer.reason, data)}",
                        status=answer.status,
                    )
            time.sleep(waits.pop(0))

    def _once(self, method: str, url: str, content: bytes | None, headers: dict[str, str]) -> t.Any:
        if self._connection is None:
            # Straight to the server: no proxy of root's environment, which is for the world outside.
            self._connection = http.client.HTTPConnection(self.login.host, self.login.port, timeout=_TIMEOUT)
            self._connection.sock = self.socket()
        self._connection.request(method, url, body=content, headers=headers)
        return self._connection.getresponse()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def kube_client(kubeconfig: str) -> KubeClient:
    """A client for the current context of this file; nothing is asked of the server yet."""
    return KubeClient(read_kubeconfig(kubeconfig))


def is_to_come(exc: AirgapError) -> bool:
    """Whether a Secret or a Service is not there: in check mode what is about to be made, and so is empty."""
    return exc.details.get("status") == 404


def api_path(api_version: str, plural: str, namespace: str = "", name: str = "", sub: str = "") -> str:
    """The path of a collection, an object or one of its parts: /apis/apps/v1/namespaces/mlops/deployments/mlflow."""
    parts = ["", "apis" if "/" in api_version else "api", *api_version.split("/")]
    parts += ["namespaces", quote(namespace, safe="")] if namespace else []
    return "/".join([*parts, plural, *([quote(name, safe="")] if name else []), *([sub] if sub else [])])


def read_secret_object(client: KubeClient, namespace: str, name: str) -> Object | None:
    """Return the Secret as the API has it, or None where there is none (nor its namespace)."""
    return client.find(api_path("v1", "secrets", namespace, name), doing=f"read secret {namespace}/{name}")


def read_secret(client: KubeClient, namespace: str, name: str) -> dict[str, str]:
    """Return the decoded keys of a Secret that must exist."""
    found = read_secret_object(client, namespace, name)
    if found is None:
        raise KubeError(
            f"secret {namespace}/{name} does not exist. airgap.mlops.kube_secrets (role platform) makes it.", status=404
        )
    values: dict[str, str] = {}
    for key, encoded in (found.get("data") or {}).items():
        try:
            values[key] = base64.b64decode(encoded, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise KubeError(
                f"key {key} of secret {namespace}/{name} is not UTF-8 text"
            ) from None  # the cause holds the value
    return values


def _may_be_sent_again(method: str, exc: Exception) -> bool:
    """A change only where it surely never arrived; and nothing to a server that does not answer or is another one."""
    if isinstance(exc, (socket.timeout, ssl.SSLCertVerificationError)):
        return False
    return method == "GET" or isinstance(exc, ConnectionRefusedError)


def _reason(status: int, reason: str, body: bytes) -> str:
    """Status and the server's message; bodies of Secrets never stand in it."""
    message = ""
    with contextlib.suppress(ValueError, AttributeError):
        message = str(json.loads(body).get("message", ""))
    return f"{status} {message or reason}".strip()
