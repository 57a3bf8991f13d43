"""Bring MLflow's database to the schema of this MLflow, or wait until somebody has.

    schema.py migrate      make or upgrade the schema; as many as like may run at once, one of them does the work
    schema.py wait HEAD    return once the schema is at the revision HEAD

The database is that of MLFLOW_BACKEND_STORE_URI. `mlflow db upgrade` would want the address, and so the password, as an
argument, and two servers that find an empty database make its tables at the same time.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from typing import TYPE_CHECKING

import psycopg2

if TYPE_CHECKING:
    from collections.abc import Iterator

# Any number will do as long as every release uses the same: it names the lock within the database.
LOCK = 0x6D6C666C6F77
VERSION_TABLE = "alembic_version"
# A new pod is refused until the network knows it, which takes a second or two.
PATIENCE = 60


def say(text: str) -> None:
    print(f"schema: {text}", file=sys.stderr, flush=True)  # noqa: T201  # the log of the container


def address() -> str:
    """The address for psycopg2, which knows no names of drivers."""
    scheme, rest = os.environ["MLFLOW_BACKEND_STORE_URI"].split("://", maxsplit=1)
    return f"{scheme.split('+', maxsplit=1)[0]}://{rest}"


def revision(connection: psycopg2.extensions.connection) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", (VERSION_TABLE,))
        if cursor.fetchone() == (None,):
            return None
        cursor.execute(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  # a constant
        row = cursor.fetchone()
        return row[0] if row else None


def wait(head: str) -> None:
    """Poll: a notification would be lost together with the server that sends it."""
    last = None
    while True:
        try:
            with contextlib.closing(psycopg2.connect(address(), connect_timeout=5)) as connection:
                found = revision(connection)
            now = f"the schema is at {found or 'no revision'}, waiting for {head}"
            if found == head:
                return
        except psycopg2.OperationalError as exc:
            now = f"the database cannot be asked: {str(exc).strip()}"
        if now != last:
            say(now)
            last = now
        time.sleep(1)


def connect() -> psycopg2.extensions.connection:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return psycopg2.connect(address(), connect_timeout=10)
        except psycopg2.OperationalError as exc:
            if time.monotonic() > deadline:
                raise SystemExit(f"schema: the database cannot be asked: {str(exc).strip()}") from None
        time.sleep(1)


@contextlib.contextmanager
def locked() -> Iterator[psycopg2.extensions.connection]:
    """Hold the lock in a session of its own; the server lets go of it when this process ends, however that may be."""
    with contextlib.closing(connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        yield connection


def migrate() -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", _scripts())
    head = ScriptDirectory.from_config(config).get_current_head()
    with locked() as connection:
        found = revision(connection)
        if found == head:
            say(f"the schema is at {head} already")
            return
        say(f"bringing the schema from {found or 'nothing'} to {head}")
        _upgrade(command.upgrade, config, empty=_is_empty(connection))
        found = revision(connection)
        if found != head:
            raise SystemExit(f"schema: the migration ended at {found} in place of {head}")
    say(f"the schema is at {head}")


def _scripts() -> str:
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("schema: this image has no mlflow")
    return os.path.join(spec.submodule_search_locations[0], "store", "db_migrations")


def _is_empty(connection: psycopg2.extensions.connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false)) AND table_name <> %s",
            (VERSION_TABLE,),
        )
        return bool(cursor.fetchone() == (0,))


def _upgrade(upgrade, config, *, empty: bool) -> None:  # type: ignore[no-untyped-def]  # alembic's own types
    """All of it in one transaction: a migration that is cut off leaves the database as it was.

    MLflow's env.py opens its own connection from our engine, and this pool gives it the one that we hold.
    """
    import sqlalchemy
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sqlalchemy.create_engine(os.environ["MLFLOW_BACKEND_STORE_URI"], poolclass=sqlalchemy.pool.StaticPool)
    try:
        with engine.connect() as connection, connection.begin():
            if empty:
                Base.metadata.create_all(connection)
            config.attributes["connection"] = connection
            upgrade(config, "heads")
    except sqlalchemy.exc.DBAPIError as exc:
        raise SystemExit(f"schema: the database refused a step, and all of them were undone: {exc.orig}") from None


def main(args: list[str]) -> None:
    if args == ["migrate"]:
        migrate()
    elif len(args) == 2 and args[0] == "wait":
        wait(args[1])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
