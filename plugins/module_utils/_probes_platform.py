# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""The probes of the platform's services, each through the protocol that its clients speak. I/O.

They leave nothing behind: what one writes it removes, under names that nobody else uses. In check mode they only read.
The guard for the redis library is here and nowhere else.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import traceback
import typing as t
import uuid

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._http import open_pool
from ansible_collections.airgap.mlops.plugins.module_utils._minio import kube_reader, open_server
from ansible_collections.airgap.mlops.plugins.module_utils._pg_server import open_server as open_postgresql
from ansible_collections.airgap.mlops.plugins.module_utils._probes import Probe
from ansible_collections.airgap.mlops.plugins.module_utils._probes_http import outside_probes, send

if t.TYPE_CHECKING:
    from ansible_collections.airgap.mlops.plugins.module_utils._probes_cluster import Cluster

try:
    import redis

    REDIS_IMPORT_ERROR = ""
except ImportError:
    REDIS_IMPORT_ERROR = traceback.format_exc()

__all__ = ("check_revision", "minio_probes", "mlflow_probes", "postgresql_probes", "redis_probes")

_TIMEOUT = 15
Options = t.Mapping[str, t.Any]


def postgresql_probes(cluster: Cluster, options: Options, check_mode: bool) -> list[Probe]:
    """MLflow's own role logs in to MLflow's database and reads what every start of MLflow reads."""

    def read_schema() -> str:
        server = open_postgresql(
            {
                **cluster.params,
                "service": options["service"],
                "port": options["port"],
                "address": None,
                "tls": False,
                "login_user": options["user"],
                "login_password": None,
                "login_secret": {"name": options["secret"]["name"], "key": options["secret"]["password"]},
            }
        )
        with server.session(options["database"]) as session:
            rows = session.rows("SELECT version_num FROM alembic_version")
        if not rows:
            raise AirgapError(
                f"database {options['database']} has no schema revision: MLflow's schema was never brought up"
            )
        return f"schema revision {check_revision(str(rows[0][0]), options)}"

    work = f"log in to database {options['database']} as {options['user']} and read its schema revision"
    return [Probe("postgresql", cluster.shown(options), work, read_schema)]


def check_revision(revision: str, options: Options) -> str:
    """The revision, when it is the one that the site's MLflow needs, or nobody says which that is."""
    known = options["schema_revisions"]
    if known and revision != known[-1]:
        what = "behind" if revision in known else "of another release of MLflow"
        raise AirgapError(
            f"the schema of database {options['database']} is {what} (revision {revision}, needed {known[-1]}). "
            "Role mlflow brings it up: run site.yml with the bundle that the site is to have"
        )
    return revision


def minio_probes(cluster: Cluster, options: Options, check_mode: bool) -> list[Probe]:
    """MLflow's user lists its bucket, and writes, reads and removes an object."""
    bucket = options["bucket"]

    def open_minio() -> t.Any:
        params = {**cluster.params, **options, "address": None, "tls": False, "ca_path": None, "region": "us-east-1"}
        return open_server(params, kube_reader(cluster.params))

    def list_bucket() -> str:
        server = open_minio()
        with server.asking(f"list bucket {bucket}"):
            found = next(iter(server.s3.list_objects(bucket_name=bucket)), None)
        return "it is empty" if found is None else "it has objects"

    def round_trip() -> str:
        server = open_minio()
        name = f".airgap-probe/{uuid.uuid4().hex}"
        body = uuid.uuid4().bytes * 64
        with server.asking(f"write, read and remove object {name} in bucket {bucket}"):
            written = server.s3.put_object(
                bucket_name=bucket, object_name=name, data=io.BytesIO(body), length=len(body)
            )
            try:
                answer = server.s3.get_object(bucket_name=bucket, object_name=name)
                with contextlib.closing(answer):
                    same = answer.read() == body
            finally:
                # Where the bucket keeps versions, the version itself goes, or a probe would leave one each time.
                server.s3.remove_object(bucket_name=bucket, object_name=name, version_id=written.version_id)
        if not same:
            raise AirgapError(f"object {name} of bucket {bucket} was read back with other content than was written")
        return f"{len(body)} bytes"

    shown = cluster.shown(options)
    probes = [Probe("minio", shown, f"list bucket {bucket} as MLflow's user", list_bucket)]
    if not check_mode:
        probes.append(Probe("minio", shown, f"write, read and remove an object in bucket {bucket}", round_trip))
    return probes


def mlflow_probes(cluster: Cluster, options: Options, check_mode: bool) -> list[Probe]:
    """The server is up, reads its database, reads its artifacts, and answers on every node's port."""
    service, port = options["service"], options["port"]
    inside = f"http://{service}:{port}"
    pool = open_pool(connect=lambda: cluster.forward.connect(service, port))
    shown = cluster.shown(options)

    def search_experiments() -> str:
        answer = _http_json(pool, "POST", f"{inside}/api/2.0/mlflow/experiments/search", {"max_results": 1})
        if not answer.get("experiments"):
            raise AirgapError("it knows no experiment, not even the default one: its database is not MLflow's")
        return "it reads its database"

    def list_artifacts() -> str:
        answer = _http_json(pool, "GET", f"{inside}/api/2.0/mlflow-artifacts/artifacts")
        return f"{len(answer.get('files', []))} top-level artifact folders"

    probes = [
        Probe("mlflow", shown, "answer /version", lambda: f"version {_http(pool, 'GET', f'{inside}/version').strip()}"),
        Probe("mlflow", shown, "search experiments", search_experiments),
    ]
    if options["artifacts"]:
        probes.append(Probe("mlflow", shown, "list artifacts", list_artifacts))
    if options["node_port"]:
        ask = functools.partial(_http, open_pool(), "GET")
        probes += outside_probes("mlflow", cluster.node_addresses(), options["node_port"], "/health", ask)
    return probes


def redis_probes(cluster: Cluster, options: Options, check_mode: bool) -> list[Probe]:
    """A logged-in PING, and a value that can be read back and has an end."""
    if REDIS_IMPORT_ERROR:
        raise AirgapError(missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)
    service, port = options["service"], options["port"]

    class Forwarded(redis.connection.Connection):
        def _connect(self) -> t.Any:
            sock = cluster.forward.connect(service, port)
            sock.settimeout(_TIMEOUT)
            return sock

    def session() -> t.Any:
        password = cluster.secret(options["secret"]["name"], options["secret"]["password"])
        pool = redis.ConnectionPool(connection_class=Forwarded, password=password, socket_timeout=_TIMEOUT)
        return contextlib.closing(redis.Redis(connection_pool=pool))

    def ping() -> str:
        with _redis_errors(), session() as client:
            client.ping()
        return "PONG"

    def round_trip() -> str:
        key, value = f"airgap-probe:{uuid.uuid4().hex}", uuid.uuid4().bytes
        with _redis_errors(), session() as client:
            client.set(key, value, ex=10, nx=True)
            found, left = client.get(key), client.ttl(key)
            client.delete(key)
        if found != value:
            raise AirgapError("a value that was just set came back as another one, or not at all")
        if not 0 < left <= 10:
            raise AirgapError(f"a value set for 10 seconds has {left} seconds left")
        return "set, read, expiring"

    shown = cluster.shown(options)
    probes = [Probe("redis", shown, "answer a PING", ping)]
    if not check_mode:
        probes.append(Probe("redis", shown, "set and get a value that expires", round_trip))
    return probes


@contextlib.contextmanager
def _redis_errors() -> t.Iterator[None]:
    try:
        yield
    except (redis.exceptions.RedisError, OSError) as exc:
        raise AirgapError(str(exc)) from exc


def _http(pool: t.Any, method: str, url: str, body: t.Any = None) -> str:
    if body is None:
        status, text = send(pool, method, url)
    else:
        status, text = send(pool, method, url, headers={"Content-Type": "application/json"}, body=json.dumps(body))
    if status != 200:
        raise AirgapError(f"{method} {url} answers {status}: {text[:200]}")
    return text


def _http_json(pool: t.Any, method: str, url: str, body: t.Any = None) -> dict[str, t.Any]:
    text = _http(pool, method, url, body)
    try:
        answer: dict[str, t.Any] = json.loads(text)
    except ValueError as exc:
        raise AirgapError(f"{method} {url} answers no JSON: {text[:200]}") from exc
    return answer
