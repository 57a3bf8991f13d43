# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Roles and databases of a PostgreSQL server, and the statements that bring one to least privilege. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._pg import quote_identifier, quote_literal

__all__ = ("ATTRIBUTES", "DatabaseError", "Role", "Step", "database_steps", "require_ours", "role_steps", "shown_role")

# Attributes that a role of an application must not have, as pg_roles and ALTER ROLE call them.
ATTRIBUTES = {
    "rolsuper": "SUPERUSER",
    "rolcreatedb": "CREATEDB",
    "rolcreaterole": "CREATEROLE",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}
_PLAIN = "LOGIN " + " ".join(f"NO{word}" for word in ATTRIBUTES.values())


class DatabaseError(AirgapError):
    """What is on the server contradicts what is wanted, and only a person can decide."""


@dataclasses.dataclass(frozen=True)
class Role:
    """A role as the server has it."""

    login: bool = True
    attributes: tuple[str, ...] = ()  # words of ATTRIBUTES that it has
    member_of: tuple[str, ...] = ()
    password_matches: bool = True


@dataclasses.dataclass(frozen=True)
class Step:
    """One statement, where to run it, and a line about it. The statement may hold a verifier and is never shown."""

    text: str
    sql: str = dataclasses.field(repr=False)
    database: str | None = None  # None: the login database
    alone: bool = False  # cannot be in a transaction

    def __str__(self) -> str:
        return self.text


def require_ours(*, databases: t.Iterable[str], roles: t.Iterable[str], whose: str) -> None:
    """Refuse what belongs to the server itself."""
    for name in databases:
        if name in ("postgres", "template0", "template1"):
            raise DatabaseError(f"database {name} belongs to the server itself. Name another for {whose}.")
    for name in roles:
        if name.startswith("pg_") or name == "postgres":
            raise DatabaseError(f"role {name} belongs to the server itself. Name another for {whose}.")


def role_steps(name: str, found: Role | None, verifier: str) -> t.Iterator[Step]:
    """A role that can log in and nothing else. verifier: what the server stores for its password."""
    quoted = quote_identifier(name)
    password = f"PASSWORD {quote_literal(verifier)}"
    if found is None:
        yield Step(f"create role {name}", f"CREATE ROLE {quoted} {_PLAIN} {password}")
        return
    for attribute in found.attributes:
        yield Step(f"take {attribute} from role {name}", f"ALTER ROLE {quoted} NO{attribute}")
    if not found.login:
        yield Step(f"let role {name} log in", f"ALTER ROLE {quoted} LOGIN")
    if not found.password_matches:
        yield Step(f"set the password of role {name}", f"ALTER ROLE {quoted} {password}")
    for group in found.member_of:
        yield Step(f"take role {name} out of role {group}", f"REVOKE {quote_identifier(group)} FROM {quoted}")


def database_steps(name: str, owner: str, *, found: str | None, public: t.Collection[str]) -> t.Iterator[Step]:
    """A database of one role that PUBLIC is kept out of. found: its owner now; public: what PUBLIC may there."""
    quoted, role = quote_identifier(name), quote_identifier(owner)
    if found is None:
        sql = f"CREATE DATABASE {quoted} OWNER {role} TEMPLATE template0 ENCODING 'UTF8'"
        yield Step(f"create database {name} of role {owner}", sql, alone=True)
    elif found != owner:
        text = f"give database {name} from role {found} to role {owner}"
        yield Step(text, f"ALTER DATABASE {quoted} OWNER TO {role}")
    if found is None or public:
        yield Step(f"keep PUBLIC out of database {name}", f"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC")


def shown_role(role: Role, *, changed_password: bool = False) -> dict[str, t.Any]:
    """What a diff shows of a role."""
    return {
        "login": role.login,
        "attributes": list(role.attributes),
        "member_of": list(role.member_of),
        "password": "(changed)" if changed_password else "(kept)" if role.password_matches else "(another)",
    }
