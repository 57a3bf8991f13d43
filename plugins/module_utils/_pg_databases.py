# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Databases and roles of a server as a list: which statements bring what is there to what is wanted. Pure.

What each role may do inside of the databases is in _pg_grants.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._pg import quote_identifier
from ansible_collections.airgap.mlops.plugins.module_utils._pg_grants import Grant
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

__all__ = ("Actual", "Held", "Plan", "Wanted", "WantedDatabase", "check_wanted", "plan_server")


@dataclasses.dataclass(frozen=True)
class WantedDatabase:
    """A database of one role. schema: statements that make its tables, and do nothing the second time."""

    name: str
    owner: str
    schema: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Wanted:
    """All that one call looks after. Roles and databases beside these are nobody's business here."""

    roles: tuple[str, ...]
    databases: tuple[WantedDatabase, ...] = ()
    grants: tuple[Grant, ...] = ()
    isolate: bool = True

    @property
    def owners(self) -> dict[str, str]:
        return {item.name: item.owner for item in self.databases}

    @property
    def places(self) -> tuple[str, ...]:
        """Every database inside of which something is looked after."""
        return tuple(sorted({*self.owners, *(grant.database for grant in self.grants)}))

    def within(self, databases: t.Collection[str]) -> Wanted:
        """The part that is about these databases."""
        return dataclasses.replace(
            self,
            databases=tuple(item for item in self.databases if item.name in databases),
            grants=tuple(item for item in self.grants if item.database in databases),
        )

    def connects(self, database: str) -> set[str]:
        """The roles that are let in by a grant."""
        return {grant.role for grant in self.grants if grant.database == database}


@dataclasses.dataclass(frozen=True)
class Held:
    """A database as the server has it."""

    owner: str
    public: tuple[str, ...] = ()  # privileges that PUBLIC has
    granted: t.Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)  # by our roles, but the owner
    protected: bool = False  # accepts no connections, so nobody needs to be kept out


@dataclasses.dataclass(frozen=True)
class Actual:
    """What the server has of it."""

    roles: t.Mapping[str, Role] = dataclasses.field(default_factory=dict)
    databases: t.Mapping[str, Held] = dataclasses.field(default_factory=dict)
    superuser: bool = True  # the login role is one


class Plan(StepPlan[Step]):
    """What brings roles, databases and the right to connect to what is wanted."""


def check_wanted(wanted: Wanted) -> None:
    """Refuse a list that contradicts itself."""
    require_ours(databases=wanted.owners, roles=wanted.roles, whose="an application")
    for what, names in (("roles", wanted.roles), ("databases", [item.name for item in wanted.databases])):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        if twice:
            raise DatabaseError(f"{what} names {', '.join(twice)} twice: each has one place in the list.")
    for database in wanted.databases:
        if database.owner not in wanted.roles:
            raise DatabaseError(
                f"databases: {database.name} shall belong to role {database.owner}, which roles does not name. Add it there, with its password."
            )
    for grant in wanted.grants:
        if grant.role not in wanted.roles:
            raise DatabaseError(
                f"grants: {grant.database} lets role {grant.role} in, which roles does not name. Add it there, with its password."
            )
        if grant.role == wanted.owners.get(grant.database):
            raise DatabaseError(
                f"grants: role {grant.role} owns database {grant.database}, and so may do everything in it. Remove the grant."
            )


def plan_server(*, wanted: Wanted, actual: Actual, verifiers: t.Mapping[str, str]) -> Plan:
    """Return the statements in the order to run them in. verifiers: what the server stores for each role's password."""
    _check(wanted, actual)
    steps = [
        *(step for name in wanted.roles for step in role_steps(name, actual.roles.get(name), verifiers[name])),
        *(step for database in wanted.databases for step in _database_steps(database, actual)),
        *_connect_steps(wanted, actual),
    ]
    return Plan(tuple(steps), _view(wanted, actual), _view(wanted, _after(wanted, actual), before=actual))


def _check(wanted: Wanted, actual: Actual) -> None:
    missing = [name for name in wanted.places if name not in actual.databases and name not in wanted.owners]
    if missing:
        raise DatabaseError(
            f"grants: there is no database {', '.join(missing)} on the server. Make it first, name it in databases too, or remove the grant."
        )
    for role in wanted.roles:
        others = sorted(
            name for name, held in actual.databases.items() if held.owner == role and wanted.owners.get(name) != role
        )
        if others:
            raise DatabaseError(
                f"role {role} owns database {', '.join(others)}, which is not in the list, and so may do everything there. "
                "Give it to another role (ALTER DATABASE ... OWNER TO ...), or name another role."
            )
    if not actual.superuser:
        raise DatabaseError(
            "only a superuser can bring roles and their rights in all databases to what is wanted. Log in as one."
        )


def _database_steps(database: WantedDatabase, actual: Actual) -> t.Iterator[Step]:
    held = actual.databases.get(database.name)
    owner, public = (held.owner, held.public) if held else (None, ())
    yield from database_steps(database.name, database.owner, found=owner, public=public)


def _connect_steps(wanted: Wanted, actual: Actual) -> t.Iterator[Step]:
    for name in sorted({*actual.databases, *wanted.owners}):
        held = actual.databases.get(name) or Held("")
        if held.protected:
            continue
        quoted = quote_identifier(name)
        taken = _taken_from_public(wanted, name, held)
        if name not in wanted.owners and taken:
            sql = f"REVOKE {', '.join(taken)} ON DATABASE {quoted} FROM PUBLIC"
            yield Step(f"keep PUBLIC, and so our roles, out of database {name}", sql)
        for role in wanted.roles:
            yield from _connect_step(name, role, held.granted.get(role, ()), let_in=role in wanted.connects(name))


def _taken_from_public(wanted: Wanted, name: str, held: Held) -> tuple[str, ...]:
    """In a database of others. Where a role of ours is let in, PUBLIC's other rights would be its rights too."""
    if not wanted.isolate:
        return ()
    return held.public if name in wanted.places else tuple(word for word in held.public if word == "CONNECT")


def _connect_step(database: str, role: str, granted: tuple[str, ...], *, let_in: bool) -> t.Iterator[Step]:
    where, whom = f"DATABASE {quote_identifier(database)}", quote_identifier(role)
    wanted = ("CONNECT",) if let_in else ()
    for privilege in sorted(set(granted) - set(wanted)):
        text = f"take {privilege} on database {database} from role {role}"
        yield Step(text, f"REVOKE {privilege} ON {where} FROM {whom}")
    if let_in and "CONNECT" not in granted:
        yield Step(f"let role {role} connect to database {database}", f"GRANT CONNECT ON {where} TO {whom}")


def _after(wanted: Wanted, actual: Actual) -> Actual:
    databases = dict(actual.databases)
    for name in {*databases, *wanted.owners}:
        held = databases.get(name) or Held("")
        if held.protected:
            continue
        ours = name in wanted.owners
        taken = held.public if ours else _taken_from_public(wanted, name, held)
        public = tuple(word for word in held.public if word not in taken)
        granted = {role: ("CONNECT",) for role in wanted.connects(name)}
        databases[name] = Held(wanted.owners.get(name, held.owner), public, granted)
    return Actual({name: Role() for name in wanted.roles}, databases)


def _view(wanted: Wanted, actual: Actual, before: Actual | None = None) -> dict[str, t.Any]:
    """What a diff shows; before: what it is compared with, where this is the end."""
    roles: dict[str, t.Any] = {}
    for name in wanted.roles:
        role = actual.roles.get(name)
        old = before.roles.get(name) if before else None
        changed = before is not None and (old is None or not old.password_matches)
        roles[name] = shown_role(role, changed_password=changed) if role else None
    databases = {
        name: {
            "owner": held.owner,
            "public": list(held.public),
            "granted": {role: list(words) for role, words in sorted(held.granted.items()) if words},
        }
        for name, held in sorted(actual.databases.items())
        if not held.protected
    }
    return {"roles": roles, "databases": databases}
