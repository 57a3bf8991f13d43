"""The tables of the decision log and how an older file becomes a newer one. Pure data, but for `migrate`."""

from __future__ import annotations

import sqlite3

__all__ = ("VERSION", "SchemaError", "migrate")

# One list of statements a version. Never change one that has been released: add the next, and fold the journal before it, whose
# rows have the columns of the version that wrote them.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # WITHOUT ROWID: ids rise with time, so rows land at the end, and there is no second index to write
        """
        CREATE TABLE decisions (
            id TEXT PRIMARY KEY,
            at_us INTEGER NOT NULL,
            request_id TEXT NOT NULL,
            client TEXT NOT NULL,
            model TEXT NOT NULL,
            version TEXT NOT NULL,
            input TEXT NOT NULL,
            output TEXT NOT NULL,
            cached INTEGER NOT NULL,
            latency_us INTEGER NOT NULL,
            shipped_us INTEGER
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX decisions_unshipped ON decisions (id) WHERE shipped_us IS NULL",
        # sensitive: sealed, and here only until the audit's database has them
        """
        CREATE TABLE attributes (
            decision_id TEXT PRIMARY KEY,
            model TEXT NOT NULL,
            at_us INTEGER NOT NULL,
            given TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE outcomes (
            decision_id TEXT PRIMARY KEY,
            at_us INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            delivered_us INTEGER
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX outcomes_undelivered ON outcomes (decision_id) WHERE delivered_us IS NULL",
        # the version that each model had last, so that cached answers go on when the gateway starts while MindsDB is down
        "CREATE TABLE models (name TEXT PRIMARY KEY, version TEXT NOT NULL) STRICT, WITHOUT ROWID",
    ),
)
VERSION = len(MIGRATIONS)


class SchemaError(Exception):
    """The file is not one that this release can take."""


def migrate(db: sqlite3.Connection, path: object) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise SchemaError(
            f"The decision log {path} has schema {found}, this gateway knows {VERSION}: "
            "start the newer gateway that wrote it, or move the file away."
        )
    if found == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[found:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")
