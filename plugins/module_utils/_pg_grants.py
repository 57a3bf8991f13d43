# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What roles may do inside of one database: exactly what is granted, on exactly the named tables. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._pg import quote_identifier
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import DatabaseError, Step

__all__ = ("ALL", "PRIVILEGES", "PUBLIC", "Content", "Grant", "Table", "check_tables", "grant_steps", "shown_grants")

# In tables: every table of the schema, those to come included.
ALL = "*"
# As a grantee of the catalog.
PUBLIC = ""
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

Words = t.FrozenSet[str]  # noqa: UP006  # evaluated on Python 3.9


@dataclasses.dataclass(frozen=True)
class Grant:
    """What one role may do in one schema of one database."""

    role: str
    database: str
    tables: tuple[str, ...]
    privileges: tuple[str, ...]
    schema: str = "public"

    @property
    def words(self) -> Words:
        return frozenset(self.privileges)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, a view or what else rows are read from."""

    granted: t.Mapping[str, Words] = dataclasses.field(default_factory=dict)
    columns: Words = frozenset()  # who may do something on single columns of it


@dataclasses.dataclass(frozen=True)
class Content:
    """A database from inside. Grants are by role, PUBLIC included; what an owner may do is left out."""

    owner: str
    tables: t.Mapping[t.Tuple[str, str], Table] = dataclasses.field(default_factory=dict)  # noqa: UP006
    schemas: t.Mapping[str, t.Mapping[str, Words]] = dataclasses.field(default_factory=dict)
    # (who makes a table, schema or '' for all, whom it is granted to): privileges on tables to come
    defaults: t.Mapping[t.Tuple[str, str, str], Words] = dataclasses.field(default_factory=dict)  # noqa: UP006


def check_tables(database: str, grants: t.Iterable[Grant], content: Content, *, shown: str) -> None:
    """Refuse grants on what is not there."""
    for grant in grants:
        missing = [name for name in grant.tables if name != ALL and (grant.schema, name) not in content.tables]
        if missing:
            raise DatabaseError(
                f"grants: there is no table {', '.join(f'{grant.schema}.{name}' for name in missing)} in database {database} of {shown}, "
                f"which role {grant.role} shall {' and '.join(grant.privileges)}. Make it first, or remove it from the grant."
            )


def grant_steps(
    *, database: str, ours: bool, roles: t.Sequence[str], grants: t.Sequence[Grant], content: Content
) -> list[Step]:
    """Statements that bring the rights of roles to the grants. ours: the database is looked after, so PUBLIC has no rights on its tables."""
    inside = [role for role in roles if role != content.owner]
    return [
        *(step for role in inside for step in _schema_steps(database, role, grants, content)),
        *_table_steps(database, inside, [PUBLIC] if ours else [], grants, content),
        *(step for role in inside for step in _default_steps(database, role, grants, content)),
    ]


def shown_grants(
    *, ours: bool, roles: t.Sequence[str], grants: t.Sequence[Grant], content: Content
) -> tuple[list[str], list[str]]:
    """What a diff shows: each right as a line, before and after."""
    before, after = set(), set()
    grantees = [*(role for role in roles if role != content.owner), *([PUBLIC] if ours else [])]
    for role in grantees:
        before |= {f"{_whom(role)}: {', '.join(sorted(w))} on {s}.{n}" for s, n, w in _tables_of(role, content) if w}
        before |= {
            f"{_whom(role)}: single columns of {s}.{n}" for (s, n), x in content.tables.items() if role in x.columns
        }
        if role != PUBLIC:
            before |= {f"{role}: {', '.join(sorted(w))} in schema {s}" for s, w in _schemas_of(role, content) if w}
            before |= {
                f"{role}: {', '.join(sorted(w))} on tables to come of {m} in {s or 'any schema'}"
                for (m, s, r), w in content.defaults.items()
                if r == role and w
            }
    for grant in grants:
        words = ", ".join(sorted(grant.words))
        after.add(f"{grant.role}: USAGE in schema {grant.schema}")
        for name in _named(grant, content):
            after.add(
                f"{grant.role}: {', '.join(sorted(_wanted(grant.role, grant.schema, name, grants)))} on {grant.schema}.{name}"
            )
        if ALL in grant.tables:
            after.add(f"{grant.role}: {words} on tables to come of {content.owner} in {grant.schema}")
    return sorted(before), sorted(after)


def _whom(role: str) -> str:
    return role or "PUBLIC"


def _named(grant: Grant, content: Content) -> list[str]:
    """The tables that a grant means now."""
    every = [name for schema, name in sorted(content.tables) if schema == grant.schema] if ALL in grant.tables else []
    return [*every, *(name for name in grant.tables if name not in (ALL, *every))]


def _wanted(role: str, schema: str, table: str, grants: t.Iterable[Grant]) -> Words:
    words: set[str] = set()
    for grant in grants:
        if (grant.role, grant.schema) == (role, schema) and (table in grant.tables or ALL in grant.tables):
            words |= grant.words
    return frozenset(words)


def _tables_of(role: str, content: Content) -> t.Iterator[tuple[str, str, Words]]:
    for (schema, name), table in sorted(content.tables.items()):
        yield schema, name, table.granted.get(role, frozenset())


def _schemas_of(role: str, content: Content) -> t.Iterator[tuple[str, Words]]:
    for schema, granted in sorted(content.schemas.items()):
        yield schema, granted.get(role, frozenset())


def _schema_steps(database: str, role: str, grants: t.Sequence[Grant], content: Content) -> t.Iterator[Step]:
    wanted = {grant.schema for grant in grants if grant.role == role}
    for schema in sorted({*content.schemas, *wanted}):
        have = content.schemas.get(schema, {}).get(role, frozenset())
        name, whom = quote_identifier(schema), quote_identifier(role)
        for word in sorted(have - ({"USAGE"} if schema in wanted else set())):
            text = f"take {word} in schema {schema} of {database} from role {role}"
            yield Step(text, f"REVOKE {word} ON SCHEMA {name} FROM {whom}", database)
        if schema in wanted and "USAGE" not in have:
            yield Step(
                f"let role {role} use schema {schema} of {database}",
                f"GRANT USAGE ON SCHEMA {name} TO {whom}",
                database,
            )


def _table_steps(
    database: str, roles: t.Sequence[str], shut: t.Sequence[str], grants: t.Sequence[Grant], content: Content
) -> t.Iterator[Step]:
    wanted = {(grant.schema, name) for grant in grants for name in _named(grant, content)}
    for schema, name in sorted({*content.tables, *wanted}):
        table = content.tables.get((schema, name), Table())
        for role in (*shut, *roles):
            want = _wanted(role, schema, name, grants) if role else frozenset()
            yield from _one_table(database, f"{schema}.{name}", _quoted(schema, name), role, table, want)


def _one_table(database: str, shown: str, quoted: str, role: str, table: Table, want: Words) -> t.Iterator[Step]:
    have = table.granted.get(role, frozenset())
    whom, said = (quote_identifier(role), f"role {role}") if role else ("PUBLIC", "PUBLIC")
    if role in table.columns:
        # A REVOKE of a privilege on the table takes it from the columns too.
        yield Step(
            f"take what {said} may on columns of {shown} in {database}", f"REVOKE ALL ON {quoted} FROM {whom}", database
        )
        have = frozenset()
    for word in sorted(have - want):
        yield Step(
            f"take {word} on {shown} of {database} from {said}", f"REVOKE {word} ON {quoted} FROM {whom}", database
        )
    missing = ", ".join(sorted(want - have))
    if missing:
        yield Step(f"let {said} {missing} on {shown} of {database}", f"GRANT {missing} ON {quoted} TO {whom}", database)


def _default_steps(database: str, role: str, grants: t.Sequence[Grant], content: Content) -> t.Iterator[Step]:
    wanted: dict[tuple[str, str], set[str]] = {}
    for grant in grants:
        if grant.role == role and ALL in grant.tables:
            wanted.setdefault((content.owner, grant.schema), set()).update(grant.words)
    have = {(maker, schema): words for (maker, schema, whom), words in content.defaults.items() if whom == role}
    for maker, schema in sorted({*wanted, *have}):
        what = f"tables to come of role {maker} in {f'schema {schema}' if schema else 'any schema'} of {database}"
        where = f" IN SCHEMA {quote_identifier(schema)}" if schema else ""
        alter = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote_identifier(maker)}{where}"
        want, found = wanted.get((maker, schema), set()), have.get((maker, schema), frozenset())
        for word in sorted(found - want):
            yield Step(
                f"take {word} on {what} from role {role}",
                f"{alter} REVOKE {word} ON TABLES FROM {quote_identifier(role)}",
                database,
            )
        missing = ", ".join(sorted(want - found))
        if missing:
            yield Step(
                f"let role {role} {missing} on {what}",
                f"{alter} GRANT {missing} ON TABLES TO {quote_identifier(role)}",
                database,
            )


def _quoted(schema: str, name: str) -> str:
    return f"{quote_identifier(schema)}.{quote_identifier(name)}"
