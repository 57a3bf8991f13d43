# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_database import (
    Actual,
    Database,
    DatabaseError,
    Plan,
    Role,
    Wanted,
    plan_database,
)
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_schema import Schema

WANTED = Wanted("mlflowdb", "mlflow")
SERVER = {
    "postgres": Database("postgres"),
    "template0": Database("postgres", ("CONNECT",), protected=True),
    "mlflowdb": Database("mlflow"),
}
GOOD = Actual(role=Role(), databases=SERVER, schema=Schema("current", "c"))


def plan(actual: Actual, wanted: Wanted = WANTED) -> Plan:
    return plan_database(wanted=wanted, actual=actual, verifier="SCRAM-SHA-256$v")


def but(**changes: t.Any) -> Actual:
    return dataclasses.replace(GOOD, **changes)


def server(**changes: Database) -> Actual:
    return but(databases={**SERVER, **changes})


CASES = [
    pytest.param(GOOD, [], id="nothing to do"),
    pytest.param(
        Actual(databases={"postgres": Database("postgres", ("CONNECT", "TEMPORARY"))}),
        [
            (
                "create role mlflow",
                "CREATE ROLE \"mlflow\" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD 'SCRAM-SHA-256$v'",
                None,
            ),
            (
                "create database mlflowdb of role mlflow",
                'CREATE DATABASE "mlflowdb" OWNER "mlflow" TEMPLATE template0 ENCODING \'UTF8\'',
                None,
            ),
            ("keep PUBLIC out of database mlflowdb", 'REVOKE ALL ON DATABASE "mlflowdb" FROM PUBLIC', None),
            (
                "keep PUBLIC, and so role mlflow, out of database postgres",
                'REVOKE CONNECT ON DATABASE "postgres" FROM PUBLIC',
                None,
            ),
        ],
        id="bare server",
    ),
    pytest.param(
        but(role=Role(password_matches=False)),
        [("set the password of role mlflow", "ALTER ROLE \"mlflow\" PASSWORD 'SCRAM-SHA-256$v'", None)],
        id="password",
    ),
    pytest.param(
        but(role=Role(login=False)), [("let role mlflow log in", 'ALTER ROLE "mlflow" LOGIN', None)], id="login"
    ),
    pytest.param(
        but(role=Role(attributes=("SUPERUSER", "BYPASSRLS"))),
        [
            ("take SUPERUSER from role mlflow", 'ALTER ROLE "mlflow" NOSUPERUSER', None),
            ("take BYPASSRLS from role mlflow", 'ALTER ROLE "mlflow" NOBYPASSRLS', None),
        ],
        id="attributes",
    ),
    pytest.param(
        but(role=Role(member_of=("a b",))),
        [("take role mlflow out of role a b", 'REVOKE "a b" FROM "mlflow"', None)],
        id="membership",
    ),
    pytest.param(
        server(mlflowdb=Database("jo", ("CONNECT",))),
        [
            ("give database mlflowdb from role jo to role mlflow", 'ALTER DATABASE "mlflowdb" OWNER TO "mlflow"', None),
            ("keep PUBLIC out of database mlflowdb", 'REVOKE ALL ON DATABASE "mlflowdb" FROM PUBLIC', None),
        ],
        id="owner and PUBLIC",
    ),
    pytest.param(
        server(shop=Database("jo", (), ("CREATE",))),
        [("keep role mlflow out of database shop", 'REVOKE ALL ON DATABASE "shop" FROM "mlflow"', None)],
        id="grant elsewhere",
    ),
    pytest.param(
        but(may_create=False),
        [("let role mlflow make tables in mlflowdb", 'GRANT USAGE, CREATE ON SCHEMA public TO "mlflow"', "mlflowdb")],
        id="schema public",
    ),
    pytest.param(
        but(strangers=(("public", "runs", "jo"),)),
        [
            (
                "give table public.runs from role jo to role mlflow",
                'ALTER TABLE "public"."runs" OWNER TO "mlflow"',
                "mlflowdb",
            )
        ],
        id="table of another",
    ),
]


@pytest.mark.parametrize(("actual", "steps"), CASES)
def test_plan(actual: Actual, steps: list[tuple[str, str, str | None]]) -> None:
    result = plan(actual)
    assert [(step.text, step.sql, step.database) for step in result.steps] == steps
    assert result.changed == bool(steps)
    assert (result.before == result.after) == (not steps)


def test_only_create_database_stands_outside_a_transaction() -> None:
    assert [step.sql.split()[1] for step in plan(Actual()).steps if step.alone] == ["DATABASE"]


def test_shared_server_is_left_alone() -> None:
    actual = server(shop=Database("jo", ("CONNECT",), ("CREATE",)))
    assert not plan(actual, dataclasses.replace(WANTED, isolate=False)).changed


def test_without_a_superuser() -> None:
    shared = dataclasses.replace(WANTED, isolate=False)
    assert [step.sql for step in plan(but(superuser=False), shared).steps] == ['GRANT "mlflow" TO CURRENT_USER']
    assert not plan(but(superuser=False, member=True), shared).changed


def test_nothing_of_the_password_is_shown() -> None:
    result = plan(but(role=Role(password_matches=False)))
    assert "SCRAM" not in repr(result) + repr(result.diff) + repr(result.actions)
    sides = [result.diff[side]["role"]["password"] for side in ("before", "after")]
    assert sides == ["(another)", "(changed)"]


@pytest.mark.parametrize(
    ("actual", "wanted", "message"),
    [
        (GOOD, Wanted("postgres", "mlflow"), "database postgres belongs to the server itself"),
        (GOOD, Wanted("mlflowdb", "postgres"), "role postgres belongs to the server itself"),
        (GOOD, Wanted("mlflowdb", "pg_monitor"), "role pg_monitor belongs"),
        (server(shop=Database("mlflow")), WANTED, "role mlflow also owns shop, .* name another role"),
        (but(superuser=False), WANTED, "only a superuser .* set isolate to false"),
    ],
)
def test_what_only_a_person_can_decide(actual: Actual, wanted: Wanted, message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        plan(actual, wanted)
