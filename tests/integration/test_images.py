"""The bundle's images as pods run them: not root, no capability, a read-only root file system, no network to ask.

PostgreSQL's entry point is ours, so it is put through what a site does to it: a changed secret, power cuts, a stop with
clients connected, volumes that hold something else.
"""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest

from tests.integration.containers import Container, Postgres, sql
from tests.node.podman import podman

pytestmark = pytest.mark.usefixtures("bundle")


def login(postgres: Postgres, server: Container, password: str) -> bool:
    """Over TCP, where a password counts. It goes by a file: an argument would be in the list of processes below."""
    (postgres.secret / "login").write_text(password)
    (postgres.secret / "login").chmod(0o644)
    script = "PGPASSWORD=$(cat /secret/login) exec psql -XAtqc 'SELECT 1' -h 127.0.0.1 -U postgres postgres"
    return server.run("sh", "-c", script) == (0, "1")


def test_a_new_cluster_is_safe_from_its_first_start(postgres: Postgres) -> None:
    server = postgres.ready("-c", "work_mem=5MB")
    settings = ("fsync", "full_page_writes", "data_checksums", "password_encryption", "work_mem", "server_encoding")
    shown = [sql(server, f"SHOW {name}") for name in settings]
    assert shown == ["on", "on", "on", "scram-sha-256", "5MB", "UTF8"]
    rules = sql(server, "SELECT DISTINCT type || ' ' || auth_method FROM pg_hba_file_rules ORDER BY 1")
    assert rules.split("\n") == ["host scram-sha-256", "local peer", "local scram-sha-256"]
    assert login(postgres, server, "first 'pass' \\ word")
    assert not login(postgres, server, "other")
    assert not login(postgres, server, "")
    assert "first 'pass'" not in server.log()
    assert "SCRAM" not in server.log()
    code, processes = server.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert code == 0
    assert "first 'pass'" not in processes.replace("cat /proc", "")


def test_a_changed_secret_reaches_the_role_and_data_stay(postgres: Postgres) -> None:
    server = postgres.ready()
    sql(server, "CREATE TABLE t AS SELECT 42 AS answer")
    server.stop()
    postgres.password("second\n")
    server = postgres.ready()
    assert sql(server, "SELECT answer FROM t") == "42"
    assert login(postgres, server, "second")
    assert not login(postgres, server, "first 'pass' \\ word")


def test_a_stop_does_not_wait_for_clients(postgres: Postgres) -> None:
    server = postgres.ready()
    client = ["exec", "--detach", server.ident, "psql", "-U", "postgres", "-c", "SELECT pg_sleep(600)"]
    podman(*client)
    server.until(
        "sh",
        "-c",
        "psql -XAtqU postgres -c \"SELECT 1 FROM pg_stat_activity WHERE query LIKE '%600%' AND pid <> pg_backend_pid()\" | grep -q 1",
    )
    code, seconds = server.stop()
    assert (code, seconds < 10) == (0, True), server.log()
    assert "database system is shut down" in server.log().split("accept connections")[-1]


def test_a_power_cut_while_running_loses_no_commit(postgres: Postgres) -> None:
    server = postgres.ready()
    sql(server, "CREATE TABLE t (n int)")
    for _number in range(5):
        sql(server, "INSERT INTO t SELECT count(*) FROM t")
    server.kill()
    server = postgres.ready()
    assert "automatic recovery in progress" in server.log()
    assert sql(server, "SELECT sum(n) FROM t") == "10"


def test_a_power_cut_during_the_first_start_is_made_good(postgres: Postgres) -> None:
    server = postgres.start()
    deadline = time.monotonic() + 60
    while not (postgres.cluster.parent / ".initdb/base").exists():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.01)
    server.kill()
    assert not postgres.cluster.exists(), "a cluster appears whole or not at all"
    server = postgres.ready()
    assert sql(server, "SELECT 1") == "1"
    assert not (postgres.cluster.parent / ".initdb").exists()


def test_a_volume_that_holds_something_else_is_refused(postgres: Postgres) -> None:
    older = postgres.data / "16/main"
    older.mkdir(parents=True)
    (older / "PG_VERSION").write_text("16\n")
    for path in (postgres.data / "16", older):
        path.chmod(0o755)
    assert "is a cluster of PostgreSQL 16, this image is 17" in postgres.refused()
    assert not postgres.cluster.exists()


def test_a_cluster_without_its_version_is_refused(postgres: Postgres) -> None:
    postgres.cluster.mkdir(parents=True)
    (postgres.cluster / "base").mkdir()
    for path in (postgres.cluster.parent, postgres.cluster):
        path.chmod(0o777)
    assert "holds files but no cluster" in postgres.refused()


def test_a_missing_password_is_named(postgres: Postgres) -> None:
    postgres.password("")
    assert "/secret/password is empty or missing" in postgres.refused()
    assert not postgres.cluster.exists()


def test_a_command_runs_in_place_of_the_server(postgres: Postgres) -> None:
    job = postgres.start("pg_dump", "--version")
    assert job.wait() == 0
    assert "pg_dump (PostgreSQL) 17" in job.log()


# --- the others -----------------------------------------------------------------------------------------------------


def test_redis_answers_to_its_own_name(run: t.Callable[..., Container]) -> None:
    server = run("redis", "redis-server", "--save", "", "--dir", "/tmp", flags=["--entrypoint="])  # noqa: S108
    assert server.until("redis-cli", "ping") == "PONG"
    assert server.run("id", "-u") == (0, "999")


def test_minio_serves_without_asking_anybody(run: t.Callable[..., Container], tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o777)
    server = run("minio", "server", "/data", "--certs-dir", "/tmp/certs", flags=[f"--volume={tmp_path}:/data"])  # noqa: S108
    request = r"GET /minio/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    check = f"exec 3<>/dev/tcp/127.0.0.1/9000; printf '{request}' >&3; grep -q '200 OK' <&3"
    server.until("bash", "-c", check)
    assert server.run("id", "-u") == (0, "1000")
    assert server.run("minio", "--version")[1].startswith("minio version RELEASE.")


def test_mlflow_holds_what_its_users_import(run: t.Callable[..., Container]) -> None:
    wanted = "import boto3, mindsdb_sdk, mlflow.server, psycopg2, redis, sys; print(sys.prefix, len(sys.modules) > 500)"
    job = run("mlflow", "python3", "-c", wanted)
    assert job.wait() == 0, job.log()
    assert "/opt/venv True" in job.log()


def test_byte_code_is_used_on_a_read_only_root(run: t.Callable[..., Container]) -> None:
    """A module that Python has to compile at every start would be reported by -v as read from its source."""
    job = run("mlflow", "python3", "-v", "-c", "import argparse, flask")
    assert job.wait() == 0
    log = job.log()
    assert "matches /opt/venv/lib/python3.13/site-packages/flask/app.py" in log
    assert ".py'" not in log, "code object from a source file"
