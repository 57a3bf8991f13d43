# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Read what a PostgreSQL server has of a list of roles, databases and grants, and bring it there. I/O."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._pg import quote_identifier
from ansible_collections.airgap.mlops.plugins.module_utils._pg_catalog import hide_statements, read_role, run_steps
from ansible_collections.airgap.mlops.plugins.module_utils._pg_databases import Actual, Held, Wanted
from ansible_collections.airgap.mlops.plugins.module_utils._pg_grants import (
    Content,
    Grant,
    Table,
    check_tables,
    grant_steps,
    shown_grants,
)
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import Step
from ansible_collections.airgap.mlops.plugins.module_utils._pg_server import PgConnection, PgServer

__all__ = ("Inside", "PgStore", "to_come")

_DATABASES = """
SELECT d.datname, pg_catalog.pg_get_userbyid(d.datdba), d.datallowconn,
  ARRAY(SELECT a.privilege_type FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
        WHERE a.grantee = 0 ORDER BY 1),
  coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_array(pg_catalog.pg_get_userbyid(a.grantee), a.privilege_type))
            FROM pg_catalog.aclexplode(d.datacl) a WHERE a.grantee NOT IN (0, d.datdba)), '[]')
FROM pg_catalog.pg_database d
"""
# Everything below leaves out the server's own schemas, and what an owner may do with what is his.
_OURS = "n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"
_TABLES = f"""
SELECT n.nspname, c.relname,
  coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
              CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.privilege_type))
            FROM pg_catalog.aclexplode(c.relacl) a WHERE a.grantee <> c.relowner), '[]'),
  coalesce((SELECT pg_catalog.json_agg(DISTINCT CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END)
            FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a
            WHERE t.attrelid = c.oid AND NOT t.attisdropped AND a.grantee <> c.relowner), '[]')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS}
"""  # noqa: S608  # our own text
_SCHEMAS = f"""
SELECT n.nspname,
  coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_array(pg_catalog.pg_get_userbyid(a.grantee), a.privilege_type))
            FROM pg_catalog.aclexplode(n.nspacl) a WHERE a.grantee NOT IN (0, n.nspowner)), '[]')
FROM pg_catalog.pg_namespace n WHERE {_OURS}
"""  # noqa: S608  # our own text
_DEFAULTS = """
SELECT pg_catalog.pg_get_userbyid(d.defaclrole), coalesce(n.nspname, ''), pg_catalog.pg_get_userbyid(a.grantee), a.privilege_type
FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace,
  pg_catalog.aclexplode(d.defaclacl) a
WHERE d.defaclobjtype = 'r' AND a.grantee NOT IN (0, d.defaclrole)
"""
_OWNER = "SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
# How many rows this transaction has written, the catalog's included: the one measure that fits any statement.
_WROTE = """
SELECT sum(pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
  + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)) FROM pg_catalog.pg_class c
"""


_MADE = "make or alter the tables of database {}"


class _Undo(Exception):  # noqa: N818  # not an error
    """Ends a transaction that was only for looking."""


@dataclass(frozen=True)
class Inside:
    """What was, or would be, done inside of one database, and what its diff shows."""

    actions: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


class PgStore:
    """Our corner of a server."""

    def __init__(self, server: PgServer, login_database: str) -> None:
        self._server = server
        self._login_database = login_database

    def read(self, wanted: Wanted, passwords: t.Mapping[str, str]) -> Actual:
        """Roles and databases."""
        with self._server.session(self._login_database) as session:
            [(superuser,)] = session.rows("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
            found = {
                name: read_role(self._server, session, self._login_database, name, passwords[name], superuser=superuser)
                for name in wanted.roles
            }
            databases = {
                name: Held(owner, tuple(public), _ours(granted, wanted.roles), protected=not connectable)
                for name, owner, connectable, public, granted in session.rows(_DATABASES)
            }
        return Actual({name: role for name, role in found.items() if role}, databases, superuser)

    def refuse_missing_tables(self, wanted: Wanted, actual: Actual) -> None:
        """Before anything changes: a grant may only name what is there, or what the database's schema may yet make."""
        to_come = {database.name for database in wanted.databases if database.schema}
        for place in wanted.places:
            if place in actual.databases and place not in to_come:
                with self._server.session(place) as session:
                    check_tables(place, _grants(wanted, place), _content(session), shown=self._server.shown)

    def run(self, steps: t.Iterable[Step]) -> None:
        run_steps(self._server, self._login_database, steps)

    def converge(self, wanted: Wanted, place: str) -> Inside:
        """Make the tables of a database and bring the rights in it to the grants, all or nothing."""
        with self._server.session(place) as session, session.transaction(f"look after database {place}"):
            return self._look_after(session, wanted, place)

    def rehearse(self, wanted: Wanted, place: str, first: t.Iterable[Step]) -> Inside:
        """What converge() would do after these steps: all of it is tried, and undone."""
        tried: list[Inside] = []
        doing = f"try what database {place} needs"
        with self._server.session(place) as session, contextlib.suppress(_Undo), session.transaction(doing):
            hide_statements(session, doing)
            for step in first:
                session.run(step.sql, step.text)
            tried.append(self._look_after(session, wanted, place))
            raise _Undo
        return tried[0]

    def _look_after(self, session: PgConnection, wanted: Wanted, place: str) -> Inside:
        was = _content(session)
        made = self._make_schema(session, wanted, place)
        content = _content(session)
        grants, ours = _grants(wanted, place), place in wanted.owners
        check_tables(place, grants, content, shown=self._server.shown)
        steps = grant_steps(database=place, ours=ours, roles=wanted.roles, grants=grants, content=content)
        for step in steps:
            session.run(step.sql, step.text)
        before, _same = shown_grants(ours=ours, roles=wanted.roles, grants=(), content=was)
        after, _same = shown_grants(ours=ours, roles=wanted.roles, grants=(), content=_content(session))
        new = [f"table {schema}.{name}" for schema, name in sorted(set(content.tables) - set(was.tables))]
        return Inside((*made, *(step.text for step in steps)), tuple(before), (*after, *new))

    def _make_schema(self, session: PgConnection, wanted: Wanted, place: str) -> list[str]:
        schema = _schema(wanted, place)
        if not schema:
            return []
        before = _wrote(session)
        owner = wanted.owners[place]
        session.run(f"SET LOCAL ROLE {quote_identifier(owner)}", f"act as role {owner}")
        for number, statement in enumerate(schema, 1):
            session.run(statement, f"run statement {number} of the schema of database {place}")
        session.run("RESET ROLE", f"look after database {place}")
        return [_MADE.format(place)] if _wrote(session) > before else []


def to_come(wanted: Wanted, place: str) -> Inside:
    """What will be done inside of a database that is not there yet."""
    content = Content(wanted.owners.get(place, ""))
    grants = _grants(wanted, place)
    steps = grant_steps(database=place, ours=True, roles=wanted.roles, grants=grants, content=content)
    _old, after = shown_grants(ours=True, roles=wanted.roles, grants=grants, content=content)
    made = [_MADE.format(place)] if _schema(wanted, place) else []
    return Inside((*made, *(step.text for step in steps)), (), tuple(after))


def _schema(wanted: Wanted, place: str) -> tuple[str, ...]:
    return next((database.schema for database in wanted.databases if database.name == place), ())


def _wrote(session: PgConnection) -> int:
    return int(session.rows(_WROTE)[0][0])


def _grants(wanted: Wanted, place: str) -> list[Grant]:
    return [grant for grant in wanted.grants if grant.database == place]


def _ours(granted: t.Iterable[tuple[str, str]], roles: t.Collection[str]) -> dict[str, tuple[str, ...]]:
    return {role: tuple(sorted(words)) for role, words in _by_role(granted).items() if role in roles}


def _by_role(granted: t.Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for role, word in granted:
        found.setdefault(role, set()).add(word)
    return {role: frozenset(words) for role, words in found.items()}


def _content(session: PgConnection) -> Content:
    [(owner,)] = session.rows(_OWNER)
    defaults: dict[tuple[str, str, str], set[str]] = {}
    for maker, schema, role, word in session.rows(_DEFAULTS):
        defaults.setdefault((maker, schema, role), set()).add(word)
    return Content(
        owner=owner,
        tables={
            (schema, name): Table(_by_role(granted), frozenset(columns))
            for schema, name, granted, columns in session.rows(_TABLES)
        },
        schemas={name: _by_role(granted) for name, granted in session.rows(_SCHEMAS)},
        defaults={key: frozenset(words) for key, words in defaults.items()},
    )
