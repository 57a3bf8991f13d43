# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Role, database and privileges of MLflow: which statements bring what is there to least privilege. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_schema import Schema
from ansible_collections.airgap.mlops.plugins.module_utils._pg import quote_identifier
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import (
    DatabaseError,
    Role,
    Step,
    database_steps,
    require_ours,
    role_steps,
    shown_role,
)
from ansible_collections.airgap.mlops.plugins.module_utils._plan import StepPlan

__all__ = ("Actual", "Database", "DatabaseError", "Plan", "Role", "Step", "Wanted", "plan_database")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One role that owns one database."""

    database: str
    role: str
    isolate: bool = True


@dataclasses.dataclass(frozen=True)
class Database:
    """A database as the server has it."""

    owner: str
    public: tuple[str, ...] = ()  # privileges that PUBLIC has
    granted: tuple[str, ...] = ()  # privileges given to our role by name
    protected: bool = False  # accepts no connections, so nobody needs to be kept out


@dataclasses.dataclass(frozen=True)
class Actual:
    """What the server has."""

    role: Role | None = None
    databases: t.Mapping[str, Database] = dataclasses.field(default_factory=dict)
    schema: Schema = Schema("absent")
    may_create: bool = True  # our role may make tables in schema public of its database
    strangers: tuple[
        tuple[str, str, str], ...
    ] = ()  # schema, table and owner of MLflow's tables that are not the role's
    superuser: bool = True  # the login role is one
    member: bool = False  # the login role may act for our role


class Plan(StepPlan[Step]):
    """What brings role, database and privileges to what is wanted."""


def plan_database(*, wanted: Wanted, actual: Actual, verifier: str) -> Plan:
    """Return the statements in the order to run them in. verifier: what the server stores for the role's password."""
    _check(wanted, actual)
    steps = [
        *_role_steps(wanted, actual, verifier),
        *_database_steps(wanted, actual),
        *(_isolation_steps(wanted, actual) if wanted.isolate else ()),
        *_content_steps(wanted, actual),
    ]
    return Plan(
        tuple(steps),
        _view(wanted, actual),
        _view(wanted, _after(wanted, actual), changed_password=_sets_password(actual)),
    )


def _check(wanted: Wanted, actual: Actual) -> None:
    require_ours(databases=[wanted.database], roles=[wanted.role], whose="MLflow")
    others = sorted(
        name for name, found in actual.databases.items() if found.owner == wanted.role and name != wanted.database
    )
    if others:
        raise DatabaseError(
            f"role {wanted.role} also owns {', '.join(others)}, and MLflow's role must own {wanted.database} alone. "
            f"Give {', '.join(others)} to another role (ALTER DATABASE ... OWNER TO ...), or name another role for MLflow."
        )

    if wanted.isolate and not actual.superuser:
        raise DatabaseError(
            f"only a superuser can keep role {wanted.role} out of other databases of the server. "
            "Log in as one, or set isolate to false where the server is shared with others."
        )


def _sets_password(actual: Actual) -> bool:
    return actual.role is None or not actual.role.password_matches


def _role_steps(wanted: Wanted, actual: Actual, verifier: str) -> t.Iterator[Step]:
    yield from role_steps(wanted.role, actual.role, verifier)
    if not actual.superuser and not actual.member:
        sql = f"GRANT {quote_identifier(wanted.role)} TO CURRENT_USER"
        yield Step(f"let the login role act for role {wanted.role}", sql)


def _database_steps(wanted: Wanted, actual: Actual) -> t.Iterator[Step]:
    found = actual.databases.get(wanted.database)
    owner, public = (found.owner, found.public) if found else (None, ())
    yield from database_steps(wanted.database, wanted.role, found=owner, public=public)


def _isolation_steps(wanted: Wanted, actual: Actual) -> t.Iterator[Step]:
    for name, found in sorted(actual.databases.items()):
        if name == wanted.database or found.protected:
            continue
        if "CONNECT" in found.public:
            sql = f"REVOKE CONNECT ON DATABASE {quote_identifier(name)} FROM PUBLIC"
            yield Step(f"keep PUBLIC, and so role {wanted.role}, out of database {name}", sql)
        if found.granted:
            sql = f"REVOKE ALL ON DATABASE {quote_identifier(name)} FROM {quote_identifier(wanted.role)}"
            yield Step(f"keep role {wanted.role} out of database {name}", sql)


def _content_steps(wanted: Wanted, actual: Actual) -> t.Iterator[Step]:
    role = quote_identifier(wanted.role)
    if wanted.database in actual.databases and not actual.may_create:
        sql = f"GRANT USAGE, CREATE ON SCHEMA public TO {role}"
        yield Step(f"let role {wanted.role} make tables in {wanted.database}", sql, wanted.database)
    for schema, table, owner in actual.strangers:
        where = f"{quote_identifier(schema)}.{quote_identifier(table)}"
        text = f"give table {schema}.{table} from role {owner} to role {wanted.role}"
        yield Step(text, f"ALTER TABLE {where} OWNER TO {role}", wanted.database)


def _after(wanted: Wanted, actual: Actual) -> Actual:
    databases = {
        name: Database(
            owner=found.owner,
            public=tuple(word for word in found.public if not wanted.isolate or found.protected or word != "CONNECT"),
            granted=() if wanted.isolate else found.granted,
            protected=found.protected,
        )
        for name, found in actual.databases.items()
    }
    databases[wanted.database] = Database(owner=wanted.role)
    return Actual(role=Role(), databases=databases)


def _view(wanted: Wanted, actual: Actual, changed_password: bool = False) -> dict[str, t.Any]:
    """What a diff shows."""
    role, database = actual.role, actual.databases.get(wanted.database)
    shown: dict[str, t.Any] = {"role": None, "database": None}
    if role is not None:
        shown["role"] = {"name": wanted.role, **shown_role(role, changed_password=changed_password)}
    if database is not None:
        shown["database"] = {
            "name": wanted.database,
            "owner": database.owner,
            "public": list(database.public),
            "may_create": actual.may_create,
            "tables_of_others": [f"{schema}.{table}" for schema, table, _owner in actual.strangers],
        }
    shown["other_databases"] = {
        name: {"public": list(found.public), "granted": list(found.granted)}
        for name, found in sorted(actual.databases.items())
        if name != wanted.database and not found.protected
    }
    return shown
