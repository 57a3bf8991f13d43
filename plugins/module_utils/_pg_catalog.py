# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Read roles from PostgreSQL's catalog, and run steps. I/O; what they mean is in _pg_plan."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._pg import verifier_matches
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import ATTRIBUTES, Role, Step
from ansible_collections.airgap.mlops.plugins.module_utils._pg_server import PgConnection, PgServer

__all__ = ("hide_statements", "read_role", "run_steps")

_ROLE = f"SELECT rolcanlogin, {', '.join(ATTRIBUTES)} FROM pg_catalog.pg_roles WHERE rolname = :role"  # noqa: S608  # our own names
_MEMBER_OF = """
SELECT DISTINCT g.rolname FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles r ON r.oid = m.member JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
WHERE r.rolname = :role ORDER BY 1
"""


def read_role(
    server: PgServer, session: PgConnection, login_database: str, name: str, password: str, *, superuser: bool
) -> Role | None:
    """A role as it is. superuser: whether the session is one's."""
    found = session.rows(_ROLE, role=name)
    if not found:
        return None
    login, *attributes = found[0]
    if superuser:
        # Exact, and free of what else may keep a login out: pg_hba.conf, NOLOGIN, a limit of connections.
        [(verifier,)] = session.rows("SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = :role", role=name)
        matches = verifier_matches(verifier, password)
    else:
        matches = login and server.accepts(login_database, name, password)
    return Role(
        login=login,
        attributes=tuple(word for word, has in zip(ATTRIBUTES.values(), attributes) if has),
        member_of=tuple(row[0] for row in session.rows(_MEMBER_OF, role=name)),
        password_matches=matches,
    )


def run_steps(server: PgServer, login_database: str, steps: t.Iterable[Step]) -> None:
    """Run the steps in their order, neighbours of one database in one transaction."""
    for (database, alone), group in itertools.groupby(steps, key=lambda step: (step.database, step.alone)):
        with server.session(database or login_database) as session:
            if alone:
                for step in group:
                    session.run(step.sql, step.text)
            else:
                _run_together(session, list(group))


def hide_statements(session: PgConnection, doing: str) -> None:
    """Keep what follows in this transaction out of the server's log, where the login role may say so."""
    if session.rows("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper"):
        session.run("SET LOCAL log_statement = 'none'", doing)


def _run_together(session: PgConnection, steps: t.Sequence[Step]) -> None:
    with session.transaction(steps[0].text):
        # A verifier is not the password, but has no place in the server's log either.
        hide_statements(session, steps[0].text)
        for step in steps:
            session.run(step.sql, step.text)
