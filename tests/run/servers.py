"""Real servers for the integration tests: the bundle's own images, on loopback, with passwords made for the run."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
import typing as t
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.demo.bundle import BUNDLE
from tests.node.podman import podman, run
from tests.run.process import ROOT
from tests.run.report import say

__all__ = ("image_reference", "mindsdb", "minio", "postgresql", "program", "redis_program")

CONTAINERS_CONF = ROOT / "tests/node/containers.conf"
POSTGRES_PORT = 55432
MINIO_PORT = 55900
MINDSDB_PORT = 55334
# Where MindsDB looks for an MLflow, which the tests themselves start and stop.
MLFLOW_PORT = 55500
READY_SECONDS = 120

Variables = dict[str, t.Any]


def program(path: Path, text: str) -> Path:
    """A small executable file of this run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nset -eu\n{text}")
    path.chmod(0o700)
    return path


def image_reference(name: str) -> str:
    """A component's image as podman knows it; its reference says its content, so one that is there is the right one."""
    manifest = yaml.safe_load((BUNDLE / "manifest.yml").read_text())
    reference: str = manifest["images"][name]["reference"]
    if podman("image", "exists", reference, check=False).returncode != 0:
        say(f"             loading {reference} from the bundle")
        run("skopeo", "copy", "--quiet", f"oci:{BUNDLE / 'oci'}:{reference}", f"containers-storage:{reference}")
    return reference


def _secret(folder: Path, name: str, value: str, uid: int) -> Path:
    """A file that the server's user reads and root too, and nobody else."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    file = folder / name
    file.touch(0o600)
    file.write_text(value)
    os.chown(file, uid, uid)
    return file


@contextlib.contextmanager
def _container(*args: str) -> Iterator[str]:
    """Run a container in the host's network, and end this one, by its id, whatever happens."""
    flags = ["--network=host", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp"]
    # podman would raise the limits, which a machine that is a container itself may refuse
    flags += ["--ulimit=nofile=20000:20000", "--ulimit=nproc=30000:30000"]
    ident = podman("run", "--detach", *flags, *args).stdout.strip()
    try:
        yield ident
    finally:
        podman("rm", "--force", "--time=5", "--volumes", ident, check=False)


def _wait(what: str, ident: str, ready: t.Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline or not _runs(ident):
            log = podman("logs", "--tail=20", ident, check=False)
            raise RuntimeError(f"{what} did not start (is its port taken?):\n{log.stdout}{log.stderr}")
        time.sleep(0.5)


def _runs(ident: str) -> bool:
    return podman("inspect", "--format={{.State.Running}}", ident, check=False).stdout.strip() == "true"


@contextlib.contextmanager
def postgresql(work: Path) -> Iterator[Variables]:
    password = secrets.token_urlsafe(24)
    file = _secret(work / "postgresql", "password", password, 999)
    mount = f"--volume={file.parent}:/run/secrets/postgresql:ro"
    setting = "--env=POSTGRES_PASSWORD_FILE=/run/secrets/postgresql/password"
    server = (image_reference("postgresql"), "-c", "listen_addresses=127.0.0.1", "-p", str(POSTGRES_PORT))
    with _container("--volume=/var/lib/postgresql/data", mount, setting, *server) as ident:
        inside = f"CONTAINERS_CONF={CONTAINERS_CONF} exec podman exec --interactive"
        names = "--env PGPASSWORD --env PGHOST --env PGPORT --env PGUSER --env PGDATABASE"
        # psql itself comes from the server's image; passwords go by environment, never as arguments
        program(work / "bin/psql", f'{inside} $(env | sed -n "s/^\\(PG[A-Z]*\\)=.*/--env \\1/p") {ident} psql "$@"\n')
        superuser = program(
            work / "bin/psql-superuser",
            f"PGPASSWORD=$(cat {file}) PGHOST=127.0.0.1 PGPORT={POSTGRES_PORT} PGUSER=postgres PGDATABASE=postgres\n"
            f'export PGPASSWORD PGHOST PGPORT PGUSER PGDATABASE\n{inside} {names} {ident} psql "$@"\n',
        )
        _wait("PostgreSQL", ident, lambda: run(str(superuser), "-Atc", "SELECT 1", check=False).stdout.strip() == "1")
        yield {
            "postgres_address": f"127.0.0.1:{POSTGRES_PORT}",
            "postgres_host": "127.0.0.1",
            "postgres_port": POSTGRES_PORT,
            "postgres_user": "postgres",
            "postgres_password": password,
            "postgres_password_file": str(file),
            "postgres_psql": str(superuser),
        }


@contextlib.contextmanager
def minio(work: Path, s3_python: str) -> Iterator[Variables]:
    user, password = f"root-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    files = {
        name: _secret(work / "minio", name, value, 1000) for name, value in (("user", user), ("password", password))
    }
    mount = f"--volume={work / 'minio'}:/run/secrets/minio:ro"
    settings = [f"--env=MINIO_ROOT_{name.upper()}_FILE=/run/secrets/minio/{name}" for name in files]
    address = f"127.0.0.1:{MINIO_PORT}"
    server = (image_reference("minio"), "server", "/data", "--address", address, "--certs-dir", "/tmp/certs")  # noqa: S108
    with _container("--volume=/data", mount, *settings, *server) as ident:
        _wait("MinIO", ident, lambda: _answers(f"http://{address}/minio/health/ready"))
        client = program(
            work / "bin/s3_client",
            f': "${{AWS_ACCESS_KEY_ID:=$(cat {files["user"]})}}" "${{AWS_SECRET_ACCESS_KEY:=$(cat {files["password"]})}}"\n'
            f"export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY\n"
            f'exec {s3_python} {ROOT}/tests/integration/s3_client.py http://{address} "$@"\n',
        )
        yield {
            "minio_address": address,
            "minio_host": "127.0.0.1",
            "minio_port": MINIO_PORT,
            "minio_root_user": user,
            "minio_root_password": password,
            "minio_root_user_file": str(files["user"]),
            "minio_root_password_file": str(files["password"]),
            "s3_client": str(client),
        }


@contextlib.contextmanager
def mindsdb(work: Path) -> Iterator[Variables]:
    username, password = "tester", secrets.token_urlsafe(24)
    settings = {
        "MINDSDB_USERNAME": username,
        "MINDSDB_PASSWORD": password,
        "FLASK_SECRET_KEY": secrets.token_urlsafe(24),
        "AUTH_SECRET_KEY": secrets.token_urlsafe(24),
        "MINDSDB_APIS": "http",
        "MINDSDB_CONFIG_PATH": "/run/secrets/mindsdb/config.json",
        "MINDSDB_STORAGE_DIR": "/tmp/mindsdb",  # noqa: S108 - a tmpfs of the container
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{MLFLOW_PORT}",
        "OMP_NUM_THREADS": "1",
    }
    config = {
        "jobs": {"disable": True},
        "tasks": {"disable": True},
        "api": {"http": {"host": "127.0.0.1", "port": str(MINDSDB_PORT)}},
    }
    # podman reads the variables itself, so that no password is an argument
    variables = _secret(work / "mindsdb-env", "variables", "".join(f"{k}={v}\n" for k, v in settings.items()), 0)
    folder = _secret(work / "mindsdb", "config.json", json.dumps(config), 1000).parent
    mount = f"--volume={folder}:/run/secrets/mindsdb:ro"
    with _container(
        f"--env-file={variables}", "--unsetenv=MINDSDB_DOCKER_ENV", mount, image_reference("mindsdb")
    ) as ident:
        url = f"http://127.0.0.1:{MINDSDB_PORT}"
        _wait("MindsDB", ident, lambda: _answers(f"{url}/api/util/ping"))
        yield {
            "mindsdb_url": url,
            "mindsdb_username": username,
            "mindsdb_password": password,
            "mindsdb_mlflow_uri": settings["MLFLOW_TRACKING_URI"],
        }


def redis_program(work: Path) -> Path:
    """A program that runs the bundle's Redis in the foreground, by the configuration on its standard input: `redis-server -`.

    The tests start and stop it as often as they like; a password goes by that input, and is no argument of any process.
    """
    flags = "--rm --interactive --network=host --read-only --cap-drop=all --security-opt=no-new-privileges --tmpfs=/tmp --workdir=/tmp"
    limits = "--ulimit=nofile=20000:20000 --ulimit=nproc=30000:30000"
    server = f"{image_reference('redis')} valkey-server"
    return program(
        work / "bin/redis-server",
        f'CONTAINERS_CONF={CONTAINERS_CONF} exec podman run {flags} {limits} --entrypoint= {server} "$@"\n',
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback server
            return bool(answer.status == 200)
    except OSError:
        return False
