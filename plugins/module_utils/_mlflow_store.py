# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Read what a PostgreSQL server has for MLflow, and run the steps of a plan on it. I/O."""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_database import Actual, Database, Wanted
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_schema import VERSION_TABLE, Schema, classify
from ansible_collections.airgap.mlops.plugins.module_utils._pg import quote_identifier
from ansible_collections.airgap.mlops.plugins.module_utils._pg_catalog import read_role, run_steps
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import Role, Step
from ansible_collections.airgap.mlops.plugins.module_utils._pg_server import PgConnection, PgServer

__all__ = ("MlflowStore",)

# All tables, views and sequences that people made: not the server's own, not an extension's, not a table's own sequence.
_RELATIONS = """
SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
      AND (d.deptype = 'e' OR (c.relkind = 'S' AND d.deptype IN ('a', 'i'))))
ORDER BY 1, 2
"""
_DATABASES = """
SELECT d.datname, pg_catalog.pg_get_userbyid(d.datdba), d.datallowconn,
  ARRAY(SELECT a.privilege_type FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
        WHERE a.grantee = 0 ORDER BY 1),
  ARRAY(SELECT a.privilege_type FROM pg_catalog.aclexplode(d.datacl) a JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
        WHERE r.rolname = :role AND d.datdba <> r.oid ORDER BY 1)
FROM pg_catalog.pg_database d
"""
# An alembic_version without this column is not alembic's.
_VERSION_TABLES = """
SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE c.relname = :table AND c.relkind = 'r' AND a.attname = 'version_num' AND NOT a.attisdropped ORDER BY 1
"""
_LOGIN = """
SELECT r.rolsuper, EXISTS (
  SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
  WHERE m.member = r.oid AND g.rolname = :role AND m.grantor <> 10)
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""


class MlflowStore:
    """MLflow's corner of a server."""

    def __init__(self, server: PgServer, login_database: str) -> None:
        self._server = server
        self._login_database = login_database

    def schema(self, database: str, known: t.Sequence[str]) -> Schema:
        """Read the state of the schema alone."""
        with self._server.session(self._login_database) as session:
            if not session.rows("SELECT 1 FROM pg_catalog.pg_database WHERE datname = :name", name=database):
                return Schema("absent")
        with self._server.session(database) as session:
            return _schema(session, _relations(session), known)

    def read(self, wanted: Wanted, known: t.Sequence[str], password: str) -> Actual:
        """Read everything that a plan looks at."""
        with self._server.session(self._login_database) as session:
            databases = _databases(session, wanted.role)
            [(superuser, member)] = session.rows(_LOGIN, role=wanted.role)
            role = read_role(self._server, session, self._login_database, wanted.role, password, superuser=superuser)
        schema, may_create = Schema("absent"), True
        strangers: tuple[tuple[str, str, str], ...] = ()
        if wanted.database in databases:
            with self._server.session(wanted.database) as session:
                relations = _relations(session)
                schema = _schema(session, relations, known)
                may_create = _may_create(session, wanted.role, role)
                strangers = tuple(item for item in relations if item[2] != wanted.role)
        return Actual(
            role=role,
            databases=databases,
            schema=schema,
            may_create=may_create,
            strangers=strangers if schema.state in ("behind", "current") else (),
            superuser=superuser,
            member=member,
        )

    def run(self, steps: t.Iterable[Step]) -> None:
        run_steps(self._server, self._login_database, steps)


def _databases(session: PgConnection, role: str) -> dict[str, Database]:
    return {
        name: Database(owner=owner, public=tuple(public), granted=tuple(granted), protected=not connectable)
        for name, owner, connectable, public, granted in session.rows(_DATABASES, role=role)
    }


def _relations(session: PgConnection) -> list[tuple[str, str, str]]:
    return list(session.rows(_RELATIONS))


def _schema(session: PgConnection, relations: t.Sequence[tuple[str, str, str]], known: t.Sequence[str]) -> Schema:
    versions = session.rows(_VERSION_TABLES, table=VERSION_TABLE)
    revisions: list[str] = []
    for (schema,) in versions:
        table = f"{quote_identifier(schema)}.{VERSION_TABLE}"
        revisions += [row[0] for row in session.rows(f"SELECT version_num FROM {table} ORDER BY 1")]  # noqa: S608  # quoted
    tables = [name for schema, name, _owner in relations if name != VERSION_TABLE or [schema] not in versions]
    return classify(tables=tables, revisions=revisions, known=known)


def _may_create(session: PgConnection, name: str, role: Role | None) -> bool:
    """Since PostgreSQL 15 schema public is its database's owner's; in a cluster that was older once it need not be."""
    found = session.rows(
        "SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'public'"
    )
    if not found or found[0][0] == "pg_database_owner":
        return True
    if role is None or role.attributes or role.member_of:  # what it may do now is not what it may do afterwards
        return False
    sql = """
    SELECT pg_catalog.has_schema_privilege(:role, 'public', 'CREATE') AND pg_catalog.has_schema_privilege(:role, 'public', 'USAGE')
    """
    return bool(session.rows(sql, role=name)[0][0])
