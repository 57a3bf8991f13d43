# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._pg_grants import (
    ALL,
    PUBLIC,
    Content,
    Grant,
    Table,
    check_tables,
    grant_steps,
    shown_grants,
)
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import DatabaseError

R, W = frozenset({"SELECT"}), frozenset({"INSERT"})
ROLES = ("jo", "reader")
ONE = (Grant("reader", "d", ("a",), ("SELECT",)),)
EVERY = (Grant("reader", "d", (ALL,), ("SELECT",)),)
USE = {"public": {"reader": frozenset({"USAGE"})}}
TABLES = {("public", "a"): Table({"reader": R}), ("public", "b"): Table()}
GOOD = Content("jo", TABLES, USE)


def steps(content: Content, grants: t.Sequence[Grant], *, ours: bool = True) -> list[tuple[str, str]]:
    found = grant_steps(database="d", ours=ours, roles=ROLES, grants=grants, content=content)
    assert {step.database for step in found} <= {"d"}
    return [(step.text, step.sql) for step in found]


@pytest.mark.parametrize(
    ("content", "grants", "expected"),
    [
        pytest.param(GOOD, ONE, [], id="nothing to do"),
        pytest.param(
            Content("jo"),
            ONE,
            [
                ("let role reader use schema public of d", 'GRANT USAGE ON SCHEMA "public" TO "reader"'),
                ("let role reader SELECT on public.a of d", 'GRANT SELECT ON "public"."a" TO "reader"'),
            ],
            id="tables to come",
        ),
        pytest.param(
            Content("jo", {("public", "a"): Table({"reader": R | W}), ("public", "b"): Table({"reader": R})}, USE),
            ONE,
            [
                ("take INSERT on public.a of d from role reader", 'REVOKE INSERT ON "public"."a" FROM "reader"'),
                ("take SELECT on public.b of d from role reader", 'REVOKE SELECT ON "public"."b" FROM "reader"'),
            ],
            id="more than granted",
        ),
        pytest.param(
            Content("jo", {**TABLES, ("public", "b"): Table({PUBLIC: R})}, USE),
            ONE,
            [("take SELECT on public.b of d from PUBLIC", 'REVOKE SELECT ON "public"."b" FROM PUBLIC')],
            id="for everybody",
        ),
        pytest.param(
            Content("jo", {("public", "a"): Table({"reader": R}, frozenset({"reader"}))}, USE),
            ONE,
            [
                ("take what role reader may on columns of public.a in d", 'REVOKE ALL ON "public"."a" FROM "reader"'),
                ("let role reader SELECT on public.a of d", 'GRANT SELECT ON "public"."a" TO "reader"'),
            ],
            id="columns",
        ),
        pytest.param(
            Content("jo", TABLES, {"public": {"reader": frozenset({"USAGE", "CREATE"})}, "s": {"reader": frozenset({"USAGE"})}}),
            ONE,
            [
                ("take CREATE in schema public of d from role reader", 'REVOKE CREATE ON SCHEMA "public" FROM "reader"'),
                ("take USAGE in schema s of d from role reader", 'REVOKE USAGE ON SCHEMA "s" FROM "reader"'),
            ],
            id="schemas",
        ),
        pytest.param(
            GOOD,
            EVERY,
            [
                ("let role reader SELECT on public.b of d", 'GRANT SELECT ON "public"."b" TO "reader"'),
                (
                    "let role reader SELECT on tables to come of role jo in schema public of d",
                    'ALTER DEFAULT PRIVILEGES FOR ROLE "jo" IN SCHEMA "public" GRANT SELECT ON TABLES TO "reader"',
                ),
            ],
            id="all tables",
        ),
        pytest.param(
            Content("jo", TABLES, USE, {("kim", "", "reader"): R}),
            ONE,
            [
                (
                    "take SELECT on tables to come of role kim in any schema of d from role reader",
                    'ALTER DEFAULT PRIVILEGES FOR ROLE "kim" REVOKE SELECT ON TABLES FROM "reader"',
                )
            ],
            id="tables to come of another",
        ),
        pytest.param(GOOD, (*ONE, Grant("reader", "d", ("a",), ("INSERT",))), [
            ("let role reader INSERT on public.a of d", 'GRANT INSERT ON "public"."a" TO "reader"')
        ], id="two grants add up"),
        pytest.param(Content("reader", TABLES, USE), (), [], id="an owner needs no grant"),
    ],
)  # fmt: skip
def test_steps(content: Content, grants: t.Sequence[Grant], expected: list[tuple[str, str]]) -> None:
    assert steps(content, grants) == expected


def test_a_database_of_others_keeps_what_everybody_may() -> None:
    content = Content("jo", {**TABLES, ("public", "b"): Table({PUBLIC: R})}, USE)
    assert steps(content, ONE, ours=False) == []


def test_a_table_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        DatabaseError, match=r"there is no table public\.x in database d of S, which role reader shall SELECT"
    ):
        check_tables("d", [Grant("reader", "d", ("a", "x"), ("SELECT",))], GOOD, shown="S")
    check_tables("d", [*ONE, *EVERY], GOOD, shown="S")


def test_a_diff_names_every_right() -> None:
    before, after = shown_grants(ours=True, roles=ROLES, grants=EVERY, content=GOOD)
    assert before == ["reader: SELECT on public.a", "reader: USAGE in schema public"]
    assert after == [
        "reader: SELECT on public.a",
        "reader: SELECT on public.b",
        "reader: SELECT on tables to come of jo in public",
        "reader: USAGE in schema public",
    ]
