# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to data sources, what is refused before anything is, and what a diff shows of a secret."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_datasources import (
    Datasource,
    DatasourceState,
    check_datasources,
    parse_databases,
    plan_datasources,
    shown_parameters,
)

WHERE: dict[str, t.Any] = {"host": "postgresql", "port": 5432}
PLANT = Datasource("plant", "postgres", WHERE, {"password": "s3cr3t"})
AS_STORED = DatasourceState("plant", engine="postgres", parameters={**WHERE, "password": "s3cr3t"})
SECRETS = {"postgres": frozenset(["password"])}

# What MindsDB 26.1.0 answers to GET /api/databases/, without what nobody reads.
LISTED: list[dict[str, t.Any]] = [
    {"name": "information_schema", "type": "system", "id": None, "engine": None},
    {"name": "mindsdb", "type": "project", "id": 1, "engine": None},
    {"name": "files", "type": "data", "engine": "files", "class_type": "sql", "connection_data": {}},
    {
        "name": "plant",
        "type": "data",
        "engine": "postgres",
        "class_type": "sql",
        "connection_data": {**WHERE, "password": "s3cr3t", "schema": None},
    },
]


def plan(wanted: Datasource, actual: DatasourceState | None = None) -> t.Any:
    known = {} if actual is None else {actual.name: actual}
    return plan_datasources(wanted=[wanted], actual=known, secret_parameters=SECRETS)


CASES = [
    pytest.param(PLANT, None, ["create data source plant"], id="missing"),
    pytest.param(PLANT, AS_STORED, [], id="as wanted"),
    pytest.param(
        Datasource("plant", "postgres", WHERE, {"password": "new"}),
        AS_STORED,
        ["set password of data source plant"],
        id="another password",
    ),
    pytest.param(
        Datasource("plant", "postgres", {"host": "db"}, {"password": "s3cr3t"}),
        AS_STORED,
        ["set host, port of data source plant"],
        id="another parameter, and one less",
    ),
    pytest.param(
        Datasource("plant", "postgres", {**WHERE, "flag": True}, {"password": "s3cr3t"}),
        DatasourceState("plant", engine="postgres", parameters={**AS_STORED.parameters, "flag": 1}),
        ["set flag of data source plant"],
        id="true is not 1",
    ),
    pytest.param(
        Datasource("plant", "mysql", WHERE, {"password": "s3cr3t"}),
        AS_STORED,
        ["replace data source plant"],
        id="another engine",
    ),
    pytest.param(Datasource("plant", state="absent"), AS_STORED, ["remove data source plant"], id="unwanted"),
    pytest.param(Datasource("plant", state="absent"), None, [], id="gone already"),
]


@pytest.mark.parametrize(("wanted", "actual", "actions"), CASES)
def test_plan(wanted: Datasource, actual: DatasourceState | None, actions: list[str]) -> None:
    found = plan(wanted, actual)
    assert found.actions == actions
    assert found.changed is bool(actions)
    assert (json.dumps(found.before) != json.dumps(found.after)) is bool(actions)  # as text: True equals 1
    assert "s3cr3t" not in json.dumps(found.diff) + repr(wanted) + repr(actual) + str(found.actions)


def test_the_diff_says_whether_a_secret_fits() -> None:
    found = plan(Datasource("plant", "postgres", WHERE, {"password": "new"}), AS_STORED)
    assert found.before["plant"]["parameters"] == {**WHERE, "password": "another one"}
    assert found.after["plant"]["parameters"] == {**WHERE, "password": "as given"}


REFUSED = [
    pytest.param(Datasource("Plant", "postgres"), "lower-case letters", id="a bad name"),
    pytest.param(Datasource("a`; DROP", "postgres"), "lower-case letters", id="SQL in a name"),
    pytest.param(Datasource("plant", "../x"), "engine '../x'", id="a path for an engine"),
    pytest.param(Datasource("files", "postgres"), "a database of its own", id="a name of MindsDB's"),
    pytest.param(
        Datasource("plant", "postgres", {"password": "x"}), "give it under secrets", id="a password in the open"
    ),
    pytest.param(
        Datasource("plant", "postgres", {"user": "x"}, {"user": "x"}),
        "as a parameter and as a secret",
        id="given twice",
    ),
    pytest.param(Datasource("plant", "postgres", {"engine": "x"}), "engine is an option", id="another engine inside"),
]


@pytest.mark.parametrize(("wanted", "message"), REFUSED)
def test_refused(wanted: Datasource, message: str) -> None:
    with pytest.raises(AirgapError, match=message):
        plan(wanted)


def test_twice() -> None:
    with pytest.raises(AirgapError, match="data source plant is listed twice"):
        check_datasources([PLANT, PLANT])


@pytest.mark.parametrize(("kind", "message"), [("project", "plant is a project"), ("ml", "plant is an ML engine")])
def test_the_name_of_something_else(kind: str, message: str) -> None:
    with pytest.raises(AirgapError, match=message):
        plan(PLANT, DatasourceState("plant", kind=kind))


def test_what_the_engine_calls_secret_is_one() -> None:
    wanted = Datasource("plant", "odd", {"phrase": "x"})
    with pytest.raises(AirgapError, match="phrase holds a secret"):
        plan_datasources(wanted=[wanted], actual={}, secret_parameters={"odd": ["phrase"]})


def test_all_obstacles_are_named_at_once() -> None:
    taken = {"one": DatasourceState("one", "project"), "two": DatasourceState("two", "system")}
    with pytest.raises(
        AirgapError, match=r"Nothing was changed: one is a project.*; two is a database of MindsDB"
    ) as error:
        plan_datasources(wanted=[Datasource("one", "x"), Datasource("two", "x")], actual=taken, secret_parameters={})
    assert len(error.value.details["problems"]) == 2


def test_what_the_server_lists() -> None:
    found = parse_databases([*LISTED, {"name": "tabular", "type": "ml"}])
    assert found["plant"] == AS_STORED
    assert {name: state.kind for name, state in found.items()} == {
        "information_schema": "system",
        "mindsdb": "project",
        "files": "data",
        "plant": "data",
        "tabular": "ml",
    }


@given(
    parameters=st.dictionaries(st.text(max_size=8), st.integers(), max_size=4),
    name=st.sampled_from(["password", "api_key", "sslkey_password", "PWD", "access_token", "client_secret"]),
)
def test_what_sounds_secret_is_hidden(parameters: dict[str, t.Any], name: str) -> None:
    shown = shown_parameters({**parameters, name: "s3cr3t"}, ())
    assert shown[name] == "hidden"
    assert set(shown) == {*parameters, name}
