"""PostgreSQL's side of an anonymised table: read a source in batches, write, measure and put in place a target.

Names come from definitions and catalogues, and go into statements as identifiers only (`psycopg.sql`).
"""

from __future__ import annotations

import contextlib
import secrets
import typing as t
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

__all__ = ("Column", "Groups", "Source", "TableBusyError", "TableError", "Target")

# size of a group -> how many groups of that size there are
Groups = dict[int, int]
Row = dict[str, t.Any]

# Begins the comment of each table that is made here: only such a table is ever replaced.
COMMENT = "Anonymised by gateway: "

_FIND = "SELECT to_regclass(%s)::oid"
# A type of the database's own exists in no other one, and its values are read as text.
_COLUMNS = """
SELECT a.attname, CASE WHEN n.nspname = 'pg_catalog' AND t.typtype = 'b' THEN format_type(a.atttypid, a.atttypmod) ELSE 'text' END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_WHERE = "SELECT pg_postmaster_start_time(), current_database()"
_GRANTS = """
SELECT x.privilege_type, CASE WHEN x.grantee = 0 THEN NULL ELSE pg_get_userbyid(x.grantee) END, x.is_grantable
FROM pg_class c, aclexplode(c.relacl) x
WHERE c.oid = %s AND x.grantee <> c.relowner
"""


class TableError(Exception):
    """A table, a definition or a row that cannot be worked with. Names the place, never a value."""


class TableBusyError(TableError):
    """Somebody else is at it: what was refused now may be done later."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    action: str


class _Table:
    def __init__(self, connection: psycopg.Connection, schema: str, table: str) -> None:
        self._connection = connection
        self.name = f"{schema}.{table}"
        self._schema = schema
        self._identifier = sql.Identifier(schema, table)
        self.oid = self._find(self._identifier)

    def _find(self, identifier: sql.Identifier) -> int | None:
        found = self._connection.execute(_FIND, [identifier.as_string(self._connection)]).fetchone()
        return t.cast("int | None", found[0]) if found else None

    def place(self) -> tuple[t.Any, ...]:
        """The same for two tables only when they are one."""
        return (*self._only(_WHERE), self.oid)

    def _only(self, statement: t.LiteralString, values: Sequence[object] = ()) -> tuple[t.Any, ...]:
        row = self._connection.execute(statement, values).fetchone()
        if row is None:
            raise TableError(f"{self.name} went away meanwhile")
        return row


class Source(_Table):
    def __init__(self, connection: psycopg.Connection, schema: str, table: str) -> None:
        # one snapshot for all batches, and no way to write
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        super().__init__(connection, schema, table)
        if self.oid is None:
            raise TableError(f"the source {self.name} does not exist, or its schema is shut to this role")
        self.columns: dict[str, str] = dict(connection.execute(_COLUMNS, [self.oid]).fetchall())

    def batches(self, columns: Sequence[str], size: int) -> Iterator[list[Row]]:
        """Through a cursor on the server: no table is too large for our memory. Other columns do not leave the database."""
        wanted = sql.SQL(", ").join(map(sql.Identifier, columns))
        with self._connection.cursor(name="anonymise") as cursor:
            cursor.execute(sql.SQL("SELECT {} FROM {}").format(wanted, self._identifier))
            while rows := cursor.fetchmany(size):
                yield [dict(zip(columns, row, strict=True)) for row in rows]


class Target(_Table):
    """All of it happens in the transaction of one connection: whoever opened it commits it, or `discard` ends it."""

    def __init__(self, connection: psycopg.Connection, schema: str, table: str) -> None:
        super().__init__(connection, schema, table)
        self._new = sql.Identifier(schema, f"anonymising_{secrets.token_hex(8)}")
        self._final = sql.Identifier(table)

    def check(self, source: Source) -> None:
        """Nobody else is writing it, and what stands there now may go."""
        if self.oid is not None and self.place() == source.place():
            raise TableError(f"{self.name} is the source itself; give the target another schema or name")
        if not self._only("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [self.name])[0]:
            raise TableBusyError(f"another run is writing {self.name}; wait for it")
        if self.oid is None:
            return
        kind, comment = self._only(
            "SELECT relkind::text, obj_description(oid, 'pg_class') FROM pg_class WHERE oid = %s", [self.oid]
        )
        if kind != "r" or not (comment or "").startswith(COMMENT):
            raise TableError(
                f"{self.name} exists and was not made by this job; drop it yourself or give the target another name"
            )

    @contextlib.contextmanager
    def new(self, columns: Sequence[Column]) -> Iterator[Callable[[Sequence[object]], None]]:
        """A table beside the target, and what writes a row to it."""
        if (
            self._only("SELECT to_regnamespace(%s)", [sql.Identifier(self._schema).as_string(self._connection)])[0]
            is None
        ):
            raise TableError(
                f"the schema {self._schema} does not exist; create it and let this role create tables in it"
            )
        parts = [
            # the type is PostgreSQL's own name of one of its own types
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
            for column in columns
        ]
        self._connection.execute(sql.SQL("CREATE TABLE {} ({})").format(self._new, sql.SQL(", ").join(parts)))
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(self._new, names)) as copy,
        ):
            yield copy.write_row

    def groups(self, columns: Sequence[str]) -> Groups:
        """How many rows look alike in these columns. A missing value looks like another missing value."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        counted = sql.SQL(
            "SELECT size, count(*) FROM (SELECT count(*) AS size FROM {} GROUP BY {}) AS alike GROUP BY size"
        ).format(self._new, names)
        return {int(size): int(count) for size, count in self._connection.execute(counted)}

    def replace(self, comment: str) -> None:
        """Put the new table in the place of the old one: who may read the old one may read it, from one moment to the next."""
        grants = self._connection.execute(_GRANTS, [self.oid]).fetchall() if self.oid is not None else []
        for privilege, grantee, grantable in grants:
            self._connection.execute(
                sql.SQL("GRANT {} ON {} TO {}{}").format(
                    sql.SQL(privilege), self._new, sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee),
                    sql.SQL(" WITH GRANT OPTION" if grantable else ""),
                )
            )  # fmt: skip
        self._connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(self._new, sql.Literal(COMMENT + comment)))
        if self.oid is not None:
            self._connection.execute(sql.SQL("DROP TABLE {}").format(self._identifier))
        self._connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(self._new, self._final))

    def discard(self) -> None:
        """As if nothing had been written."""
        self._connection.rollback()
