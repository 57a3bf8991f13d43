# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import dataclasses
import re
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._pg_databases import (
    Actual,
    Held,
    Plan,
    Wanted,
    WantedDatabase,
    check_wanted,
    plan_server,
)
from ansible_collections.airgap.mlops.plugins.module_utils._pg_grants import Grant
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import DatabaseError, Role

READ = Grant("reader", "plantdb", ("batches",), ("SELECT",))
WANTED = Wanted(
    roles=("audit", "reader"),
    databases=(WantedDatabase("auditdb", "audit"),),
    grants=(READ,),
)
GOOD = Actual(
    roles={"audit": Role(), "reader": Role()},
    databases={
        "auditdb": Held("audit"),
        "plantdb": Held("jo", (), {"reader": ("CONNECT",)}),
        "postgres": Held("postgres"),
        "template0": Held("postgres", ("CONNECT",), protected=True),
    },
)


def plan(actual: Actual, wanted: Wanted = WANTED) -> Plan:
    check_wanted(wanted)
    return plan_server(
        wanted=wanted, actual=actual, verifiers={"audit": "SCRAM-SHA-256$a", "reader": "SCRAM-SHA-256$r"}
    )


def server(**changes: Held) -> Actual:
    return dataclasses.replace(GOOD, databases={**GOOD.databases, **changes})


CASES = [
    pytest.param(GOOD, WANTED, [], id="nothing to do"),
    pytest.param(
        Actual(
            databases={"plantdb": Held("jo", ("CONNECT", "TEMPORARY")), "shop": Held("jo", ("CONNECT", "TEMPORARY"))}
        ),
        WANTED,
        [
            "create role audit",
            "create role reader",
            "create database auditdb of role audit",
            "keep PUBLIC out of database auditdb",
            "keep PUBLIC, and so our roles, out of database plantdb",
            "let role reader connect to database plantdb",
            "keep PUBLIC, and so our roles, out of database shop",
        ],
        id="bare server",
    ),
    pytest.param(
        Actual(databases={"plantdb": Held("jo", ("CONNECT", "TEMPORARY"))}),
        dataclasses.replace(WANTED, databases=(), roles=("reader",), isolate=False),
        ["create role reader", "let role reader connect to database plantdb"],
        id="a shared server",
    ),
    pytest.param(
        dataclasses.replace(
            GOOD, roles={"audit": Role(attributes=("SUPERUSER",)), "reader": Role(member_of=("pg_read_all_data",))}
        ),
        WANTED,
        ["take SUPERUSER from role audit", "take role reader out of role pg_read_all_data"],
        id="roles that may more",
    ),
    pytest.param(
        server(
            auditdb=Held("audit", (), {"reader": ("CONNECT", "CREATE")}), shop=Held("jo", (), {"audit": ("TEMPORARY",)})
        ),
        WANTED,
        [
            "take CONNECT on database auditdb from role reader",
            "take CREATE on database auditdb from role reader",
            "take TEMPORARY on database shop from role audit",
        ],
        id="let in by somebody else",
    ),
    pytest.param(
        server(auditdb=Held("jo", ("CONNECT",))),
        WANTED,
        ["give database auditdb from role jo to role audit", "keep PUBLIC out of database auditdb"],
        id="another owner",
    ),
]


@pytest.mark.parametrize(("actual", "wanted", "expected"), CASES)
def test_plan(actual: Actual, wanted: Wanted, expected: list[str]) -> None:
    result = plan(actual, wanted)
    assert result.actions == expected
    assert result.changed == bool(expected)
    assert (result.diff["before"] != result.diff["after"]) == bool(expected)


def test_what_a_plan_leads_to_needs_no_plan() -> None:
    for case in CASES:
        actual, wanted, _expected = t.cast("tuple[Actual, Wanted, list[str]]", case.values)
        owners = wanted.owners
        after = plan(actual, wanted).diff["after"]
        reached = Actual(
            {name: Role() for name in after["roles"]},
            {
                name: Held(view["owner"], tuple(view["public"]), {k: tuple(v) for k, v in view["granted"].items()})
                for name, view in after["databases"].items()
            },
        )
        assert plan(reached, wanted).actions == []
        assert {name: view["owner"] for name, view in after["databases"].items() if name in owners} == owners


def test_statements_quote_names_and_show_no_verifier() -> None:
    steps = plan(Actual(databases={"plantdb": Held("jo")})).steps
    assert [step.sql for step in steps if step.text.startswith("create database")] == [
        'CREATE DATABASE "auditdb" OWNER "audit" TEMPLATE template0 ENCODING \'UTF8\''
    ]
    assert any("SCRAM" in step.sql for step in steps)
    assert "SCRAM" not in repr(steps)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        pytest.param(Wanted(("a", "a")), "roles names a twice", id="role twice"),
        pytest.param(
            Wanted(("a",), (WantedDatabase("x", "a"), WantedDatabase("x", "a"))),
            "databases names x twice",
            id="database twice",
        ),
        pytest.param(
            Wanted(("a",), (WantedDatabase("x", "b"),)),
            "x shall belong to role b, which roles does not name",
            id="owner",
        ),
        pytest.param(
            Wanted(("a",), grants=(READ,)), "plantdb lets role reader in, which roles does not name", id="grantee"
        ),
        pytest.param(
            Wanted(("reader",), (WantedDatabase("plantdb", "reader"),), (READ,)),
            "role reader owns database plantdb",
            id="own grant",
        ),
        pytest.param(Wanted(("postgres",)), "role postgres belongs to the server itself", id="superuser"),
        pytest.param(Wanted(("pg_x",)), "role pg_x belongs to the server itself", id="reserved role"),
        pytest.param(
            Wanted(("a",), (WantedDatabase("template1", "a"),)),
            "database template1 belongs to the server",
            id="template",
        ),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(wanted: Wanted, message: str) -> None:
    with pytest.raises(DatabaseError, match=re.escape(message)):
        check_wanted(wanted)


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        pytest.param(Actual(), "grants: there is no database plantdb on the server", id="no such database"),
        pytest.param(
            server(shop=Held("reader")),
            "role reader owns database shop, which is not in the list",
            id="owner elsewhere",
        ),
        pytest.param(dataclasses.replace(GOOD, superuser=False), "only a superuser can", id="weak login"),
    ],
)
def test_a_server_that_contradicts_the_list_is_refused(actual: Actual, message: str) -> None:
    with pytest.raises(DatabaseError, match=re.escape(message)):
        plan(actual)


def test_the_part_about_some_databases() -> None:
    assert WANTED.within(["auditdb"]) == dataclasses.replace(WANTED, grants=())
    assert WANTED.places == ("auditdb", "plantdb")
