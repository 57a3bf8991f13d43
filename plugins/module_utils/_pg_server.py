# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Connections to a PostgreSQL server, behind a Service of the cluster or at an address. I/O.

The guard for the pg8000 library is here and nowhere else.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import traceback
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._kube import kube_client, read_secret
from ansible_collections.airgap.mlops.plugins.module_utils._pg import PgError, parse_address
from ansible_collections.airgap.mlops.plugins.module_utils._portforward import PortForward

try:
    from pg8000.exceptions import DatabaseError, InterfaceError
    from pg8000.native import Connection

    PG8000_TRACEBACK = ""
except ImportError:
    PG8000_TRACEBACK = traceback.format_exc()

__all__ = ("LoginRefused", "PgConnection", "PgServer", "open_server", "read_key", "read_password")

_TIMEOUT = 30.0
_APPLICATION = "airgap.mlops"
# Refusals of a login whose password was right: no CONNECT on the database, no such database, too many connections.
_AFTER_THE_PASSWORD = ("42501", "3D000", "53300")


class LoginRefused(PgError):
    """The server knows the role, and the password is not its password; or it does not know the role."""


class PgConnection:
    """One session. Values are given as parameters; names were quoted by whoever made the statement."""

    def __init__(self, connection: t.Any, shown: str) -> None:
        self._connection = connection
        self._shown = shown

    def rows(self, sql: str, **values: t.Any) -> list[t.Any]:
        with _errors(f"ask {self._shown}"):
            return list(self._connection.run(sql, **values) or [])

    def run(self, sql: str, doing: str) -> None:
        with _errors(f"{doing} on {self._shown}"):
            self._connection.run(sql)

    @contextlib.contextmanager
    def transaction(self, doing: str) -> t.Iterator[None]:
        self.run("BEGIN", doing)
        try:
            yield
        except BaseException:
            with contextlib.suppress(PgError):
                self.run("ROLLBACK", doing)
            raise
        self.run("COMMIT", doing)

    def close(self) -> None:
        with contextlib.suppress(InterfaceError, OSError):
            self._connection.close()


class PgServer:
    """A server and the role that we are there."""

    def __init__(
        self,
        *,
        connect: t.Callable[[], socket.socket],
        shown: str,
        user: str,
        password: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connect = connect
        self._tls = tls
        self._user = user
        self._password = password
        self.shown = shown

    @contextlib.contextmanager
    def session(self, database: str) -> t.Iterator[PgConnection]:
        """A session as the login role."""
        connection = self._open(database, self._user, self._password)
        try:
            yield connection
        finally:
            connection.close()

    def accepts(self, database: str, user: str, password: str) -> bool:
        """Say whether this role can log in with this password, whatever it may then do."""
        try:
            self._open(database, user, password).close()
        except LoginRefused:
            return False
        except PgError as exc:
            if exc.details.get("code") not in _AFTER_THE_PASSWORD:
                raise
        return True

    def _open(self, database: str, user: str, password: str) -> PgConnection:
        with _errors(f"log in to database {database} of {self.shown} as {user}"):
            sock = self._connect()
            try:
                connection = Connection(
                    user,
                    password=password,
                    database=database,
                    sock=sock,
                    ssl_context=self._tls or False,
                    application_name=_APPLICATION,
                )
            except BaseException:
                sock.close()
                raise
        return PgConnection(connection, self.shown)


def open_server(params: t.Mapping[str, t.Any]) -> PgServer:
    """The server that a module's options name (see _args_pg)."""
    if PG8000_TRACEBACK:
        raise PgError(missing_required_lib("pg8000"), exception=PG8000_TRACEBACK)
    password = read_password(params, "login")
    user = params["login_user"]
    tls = _tls_context(params["ca_path"]) if params["tls"] else None
    if params["address"]:
        host, port = parse_address(params["address"])
        shown = f"PostgreSQL at {params['address']}"
        return PgServer(
            connect=lambda: socket.create_connection((host, port), _TIMEOUT),
            shown=shown,
            user=user,
            password=password,
            tls=tls,
        )
    service, port = params["service"], params["port"]
    forward = PortForward(kube_client(params["kubeconfig"]), params["namespace"])

    def connect() -> socket.socket:
        sock = forward.connect(service, port)
        sock.settimeout(_TIMEOUT)
        return sock

    return PgServer(
        connect=connect,
        shown=f"PostgreSQL behind service {params['namespace']}/{service}",
        user=user,
        password=password,
        tls=tls,
    )


def read_password(params: t.Mapping[str, t.Any], prefix: str) -> str:
    """The password that is given as PREFIX_password, or that the Secret named by PREFIX_secret holds."""
    given = params[f"{prefix}_password"]
    if given:
        return str(given)
    return read_key(params, params[f"{prefix}_secret"], f"{prefix}_secret")


def read_key(params: t.Mapping[str, t.Any], secret: t.Mapping[str, str], option: str) -> str:
    """What the Secret holds that an option names."""
    values = read_secret(kube_client(params["kubeconfig"]), params["namespace"], secret["name"])
    if not values.get(secret["key"]):
        raise PgError(
            f"secret {params['namespace']}/{secret['name']} has no key {secret['key']}: it has {', '.join(sorted(values)) or 'none'}. "
            f"Name the right one in {option}, or mend the secret."
        )
    return values[secret["key"]]


def _tls_context(ca_path: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError) as exc:
        raise PgError(f"ca_path {ca_path} cannot be used: {exc}. Name a file with PEM certificates.") from exc


@contextlib.contextmanager
def _errors(doing: str) -> t.Iterator[None]:
    try:
        yield
    except DatabaseError as exc:
        raise _refusal(doing, exc) from exc
    except (InterfaceError, OSError) as exc:
        # pg8000 says 'network error' and keeps what happened as the cause
        raise PgError(f"Cannot {doing}: {exc.__cause__ or exc}") from exc


def _refusal(doing: str, exc: t.Any) -> PgError:
    fields = exc.args[0] if exc.args and isinstance(exc.args[0], dict) else {}
    code = str(fields.get("C", ""))
    text = " ".join(str(fields[key]) for key in ("M", "D", "H") if fields.get(key)) or str(exc)
    message = f"Cannot {doing}: {text}{f' ({code})' if code else ''}"
    if code in ("28P01", "28000"):
        return LoginRefused(f"{message}. Check the password that login_secret or login_password gives.", code=code)
    return PgError(message, code=code)
