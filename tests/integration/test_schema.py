"""MLflow's schema as role mlflow's script brings it up, in MLflow's image on the bundle's PostgreSQL: by two at once, and cut off.

The tests hold a lock of the database themselves, so that both are at the same place whatever this machine's speed.
"""

from __future__ import annotations

import contextlib
import pathlib
import typing as t
from collections.abc import Iterator

import pytest
import yaml

from tests.integration.containers import Container, Postgres, sql
from tests.node.podman import podman
from tests.run.servers import BUNDLE

pytestmark = pytest.mark.usefixtures("bundle")

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATABASE = "mlflowdb"
# The number by which roles/mlflow/files/schema.py calls its lock.
LOCK = 0x6D6C666C6F77
MIGRATE = ("timeout", "240", "python3", "/scripts/schema.py", "migrate")
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = "

Start = t.Callable[..., Container]


@pytest.fixture
def server(postgres: Postgres) -> Container:
    made = postgres.ready()
    sql(made, "CREATE ROLE mlflow LOGIN PASSWORD 'of-mlflow'")
    sql(made, f"CREATE DATABASE {DATABASE} OWNER mlflow")
    return made


@pytest.fixture
def start(run: Start, server: Container, tmp_path: pathlib.Path) -> Start:
    """Start a command in MLflow's image, with the role's scripts and the database beside it."""
    variables = tmp_path / "variables"
    variables.write_text(f"MLFLOW_BACKEND_STORE_URI=postgresql+psycopg2://mlflow:of-mlflow@127.0.0.1/{DATABASE}\n")
    folders = {ROOT / "roles/mlflow/files": "/scripts", ROOT / "molecule/mlflow/files": "/tests"}
    mounts = [f"--volume={folder}:{place}:ro" for folder, place in folders.items()]

    def start(*command: str) -> Container:
        return run("mlflow", *command, flags=[f"--env-file={variables}", *mounts], beside=server)

    return start


@pytest.fixture
def revisions() -> list[str]:
    """Those of the bundle's MLflow, oldest first."""
    known: list[str] = yaml.safe_load((BUNDLE / "manifest.yml").read_text())["mlflow"]["schema_revisions"]
    return known


def revision(server: Container) -> str:
    return sql(server, "SELECT version_num FROM alembic_version", DATABASE)


def until(server: Container, question: str, answer: str) -> None:
    server.until("sh", "-c", f'psql -XAtqU postgres -d {DATABASE} -c "{question}" | grep -qx {answer}')


@contextlib.contextmanager
def held(server: Container, statement: str) -> Iterator[None]:
    """Have a session of ours take a lock, and let go of it in the end."""
    script = f"BEGIN; {statement}; SELECT pg_sleep(600)"
    podman("exec", "--detach", server.ident, "psql", "-XqU", "postgres", "-d", DATABASE, "-c", script)
    ours = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    until(server, f"SELECT count(*) {ours}", "1")
    yield
    sql(server, f"SELECT pg_terminate_backend(pid) {ours}")


def test_one_of_two_makes_the_tables_and_the_other_waits(server: Container, start: Start, revisions: list[str]) -> None:
    with held(server, f"SELECT pg_advisory_lock({LOCK})"):
        callers = [start(*MIGRATE), start(*MIGRATE)]
        until(server, f"{WAITING}'advisory'", "2")
        assert sql(server, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", DATABASE) == "0"
    codes, logs = [caller.wait() for caller in callers], [caller.log() for caller in callers]
    assert codes == [0, 0], logs
    assert sorted(f"bringing the schema from nothing to {revisions[-1]}" in log for log in logs) == [False, True], logs
    assert sorted(f"the schema is at {revisions[-1]} already" in log for log in logs) == [False, True], logs
    assert revision(server) == revisions[-1]


def test_who_waits_takes_over_from_who_is_cut_off(server: Container, start: Start, revisions: list[str]) -> None:
    """A node loses its power when its migration has one step to go: to say that it is done."""
    for command in (MIGRATE, ("python3", "/tests/older_schema.py")):
        caller = start(*command)
        assert caller.wait() == 0, caller.log()
    assert revision(server) == revisions[-2]
    with held(server, "LOCK TABLE alembic_version IN SHARE MODE"):
        first = start(*MIGRATE)
        until(server, f"{WAITING}'relation'", "1")
        second = start(*MIGRATE)
        until(server, f"{WAITING}'advisory'", "1")
        first.kill()
        assert revision(server) == revisions[-2]
    assert second.wait() == 0, second.log()
    assert f"bringing the schema from {revisions[-2]} to {revisions[-1]}" in second.log()
    assert revision(server) == revisions[-1]
