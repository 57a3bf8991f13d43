# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Where the API server is and how to log in, from a kubeconfig. I/O: reads that file and those it names.

The guard for the PyYAML library is here, for everything that talks to the cluster.
"""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import traceback
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

try:
    import yaml

    YAML_TRACEBACK = ""
except ImportError:
    YAML_TRACEBACK = traceback.format_exc()

__all__ = ("KubeError", "Login", "read_kubeconfig")

# Other ways to log in start programs or know one vendor's cloud; k3s gives its administrator a certificate.
_REFUSED = ("auth-provider", "exec", "password", "username")


class KubeError(AirgapError):
    """The cluster did not do what was asked of it. `status` is the API server's, where it answered."""

    @property
    def status(self) -> int:
        return int(self.details.get("status", 0))


@dataclass(frozen=True)
class Login:
    host: str
    port: int
    path: str  # in front of every path of the API, for servers behind a gateway
    server_name: str  # whom the server's certificate must name
    token: str = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)


def read_kubeconfig(kubeconfig: str) -> Login:
    """The current context of this file; nothing is asked of the server yet."""
    if YAML_TRACEBACK:
        raise KubeError(missing_required_lib("PyYAML"), exception=YAML_TRACEBACK)
    path = os.path.expanduser(kubeconfig)
    if not os.path.isfile(path):
        raise KubeError(
            f"kubeconfig {path} does not exist. Is k3s running on this host, and is this the host to run on?"
        )
    try:
        with open(path, encoding="utf-8") as file:
            return _login(yaml.safe_load(file), os.path.dirname(path))
    except (yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise KubeError(f"kubeconfig {path} cannot be used: {exc}. Name a kubeconfig that kubectl accepts.") from exc


def _login(config: t.Any, folder: str) -> Login:
    context = _entry(config, "context", config["current-context"])
    cluster, user = _entry(config, "cluster", context["cluster"]), _entry(config, "user", context["user"])
    refused = [key for key in _REFUSED if user.get(key)]
    if refused:
        raise ValueError(f"its user logs in by {', '.join(refused)}, and here only a certificate or a token will do")
    url = urlsplit(cluster["server"])
    if url.scheme not in ("https", "http") or not url.hostname:
        raise ValueError(f"its server is {cluster['server']!r}, which is no URL")
    return Login(
        host=url.hostname,
        port=url.port or (443 if url.scheme == "https" else 80),
        path=url.path.rstrip("/"),
        server_name=cluster.get("tls-server-name") or url.hostname,
        token=str(user.get("token") or _content(user, "tokenFile", "", folder).decode().strip()),
        tls=_tls(cluster, user, folder) if url.scheme == "https" else None,
    )


def _entry(config: t.Any, kind: str, name: str) -> dict[str, t.Any]:
    """One of the named entries of a list such as `clusters`."""
    for entry in config[f"{kind}s"]:
        if entry["name"] == name:
            found: dict[str, t.Any] = entry[kind]
            return found
    raise ValueError(f"it has no {kind} named {name!r}")


def _content(where: dict[str, t.Any], path_key: str, data_key: str, folder: str) -> bytes:
    """What stands in the file itself, or in one that it names relative to its own place."""
    if where.get(data_key):
        return base64.b64decode(where[data_key])
    if where.get(path_key):
        with open(os.path.join(folder, where[path_key]), "rb") as file:
            return file.read()
    return b""


def _tls(cluster: dict[str, t.Any], user: dict[str, t.Any], folder: str) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", "certificate-authority-data", folder).decode()
    context = ssl.create_default_context(cadata=authority or None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate = _content(user, "client-certificate", "client-certificate-data", folder)
    if certificate:
        key = _content(user, "client-key", "client-key-data", folder)
        with _in_memory(certificate + b"\n" + key) as path:
            context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def _in_memory(content: bytes) -> t.Iterator[str]:
    """A path that a library reads a key from, and that no disk ever holds."""
    descriptor = os.memfd_create("airgap-mlops")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
