# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a model is trained, when it is waited for, and what is refused before anything is."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_models import (
    Model,
    Version,
    check_models,
    differences,
    parse_versions,
    plan_models,
    summary,
    training_error,
)

QUERY = "SELECT x, y FROM t"
M = Model("m", target="y", datasource="plant", query=QUERY, options={"seed": 7})
V = Version(1, "complete", True, "y", QUERY, {"seed": 7}, "tabular", "plant")


def make(*versions: t.Mapping[str, t.Any]) -> tuple[Version, ...]:
    return tuple(dataclasses.replace(V, number=n, **change) for n, change in enumerate(versions, 1))


def plan(model: Model, versions: t.Sequence[Version] = (), engines: t.Collection[str] = ("tabular",)) -> t.Any:
    return plan_models(wanted=[model], actual={model.name: versions} if versions else {}, engines=engines)


OTHER = {"options": {"seed": 8}}
CASES = [
    pytest.param(M, [], ["train model m"], id="missing"),
    pytest.param(M, [{}], [], id="as wanted"),
    pytest.param(
        M, [{"query": "SELECT x,  y -- all\n FROM t"}], ["retrain model m: changed query"], id="more than blanks"
    ),
    pytest.param(M, [{"query": "SELECT x,   y FROM t /* all */"}], [], id="blanks and comments"),
    pytest.param(M, [{"target": "x"}], ["retrain model m: changed target"], id="another target"),
    pytest.param(M, [{"engine": "other"}], ["retrain model m: changed engine"], id="another engine"),
    pytest.param(M, [OTHER], ["retrain model m: changed options"], id="another option"),
    pytest.param(M, [{"options": {}}], ["retrain model m: changed options"], id="one option more"),
    pytest.param(M, [{"datasource": "lab"}], ["retrain model m: changed datasource"], id="another data source"),
    pytest.param(M, [{"datasource": None}], [], id="nobody knows from where"),
    pytest.param(M, [{"status": "error"}], ["retrain model m: version 1 is in state error"], id="it never worked"),
    pytest.param(
        M,
        [{}, {"active": False, "status": "error", **OTHER}],
        [],
        id="somebody else's failure is not ours",
    ),
    pytest.param(
        M,
        [OTHER, {"active": False, "status": "error"}],
        ["retrain model m: changed options"],
        id="a retraining that failed is tried again",
    ),
    pytest.param(M, [OTHER, {"active": False, "status": "training"}], [], id="just this is being trained"),
    pytest.param(M, [{"status": "generating"}], [], id="just this is being trained for the first time"),
    pytest.param(
        M,
        [{**OTHER, "status": "generating"}],
        ["retrain model m: version 1 is in state generating"],
        id="something else is being trained for the first time",
    ),
    pytest.param(M, [{"active": False, **OTHER}, {}], [], id="the active version counts"),
    pytest.param(
        M,
        [{}, {"active": False}],
        [],
        id="the active version need not be the newest",
    ),
    pytest.param(dataclasses.replace(M, retrain=True), [{}], ["retrain model m: asked for"], id="always"),
    pytest.param(
        dataclasses.replace(M, retrain=True),
        [{}, {"active": False, "status": "training"}],
        [],
        id="always, and on its way",
    ),
    pytest.param(Model("m", state="absent"), [{}, {"active": False}], ["remove model m"], id="unwanted"),
    pytest.param(Model("m", state="absent"), [], [], id="gone already"),
]


@pytest.mark.parametrize(("model", "changes", "actions"), CASES)
def test_plan(model: Model, changes: t.Any, actions: list[str]) -> None:
    found = plan(model, make(*changes))
    assert found.actions == actions
    assert found.changed is bool(actions)
    assert (found.diff["before"] != found.diff["after"]) is bool(actions)


@pytest.mark.parametrize(
    ("changes", "pending"),
    [
        pytest.param([{}], {}, id="nobody trains"),
        pytest.param([{}, {"active": False, "status": "training"}], {"m": 2}, id="the newest is being trained"),
        pytest.param([{"active": False, "status": "training"}, {}], {}, id="an older one does not matter"),
    ],
)
def test_what_is_waited_for(changes: t.Any, pending: dict[str, int]) -> None:
    assert plan(M, make(*changes)).pending == pending


def test_a_missing_engine_is_made_once_and_before_the_models() -> None:
    models = [M, dataclasses.replace(M, name="n"), Model("old", state="absent")]
    found = plan_models(wanted=models, actual={"old": (V,)}, engines=())
    assert found.actions == ["remove model old", "create ML engine tabular", "train model m", "train model n"]


def test_an_engine_is_made_only_for_a_training() -> None:
    assert plan(M, (V,), engines=()).actions == []


def test_the_diff_names_the_next_version() -> None:
    found = plan(M, make(OTHER, {"active": False, "status": "error"}))
    assert found.before["m"]["version"] == 1
    assert found.after["m"] == {
        "state": "present",
        "datasource": "plant",
        "query": QUERY,
        "target": "y",
        "engine": "tabular",
        "options": {"seed": 7},
        "version": 3,
    }


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        pytest.param({"a": 1}, {"a": True}, False, id="true is not 1"),
        pytest.param({"a": 1}, {"a": 1.0}, True, id="1 is 1.0"),
        pytest.param({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, True, id="deep"),
        pytest.param({"a": [1, {"b": 0}]}, {"a": [1, {"b": False}]}, False, id="deep and false"),
        pytest.param({"a": "1"}, {"a": 1}, False, id="a text is not a number"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, False, id="shorter"),
    ],
)
def test_options(one: t.Any, other: t.Any, equal: bool) -> None:
    found = differences(dataclasses.replace(M, options=one), dataclasses.replace(V, options=other))
    assert found == ([] if equal else ["options"])


TEXTS = st.text("aé ;-0", max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=0) | st.floats(0, 1e9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
BLANKS = st.text(" \n\t", min_size=1, max_size=3)


@given(
    options=st.dictionaries(st.from_regex(r"[a-d]{1,3}", fullmatch=True), JSON, max_size=3),
    blanks=st.lists(BLANKS, min_size=3, max_size=3),
)
def test_what_was_trained_as_wanted_is_not_trained_again(options: dict[str, t.Any], blanks: list[str]) -> None:
    words = ["SELECT", "x, y", "FROM", "t"]
    query = "".join(word + blank for word, blank in zip(words, [*blanks, " "]))  # noqa: B905 - strict= is Python 3.10's
    model = dataclasses.replace(M, query=query, options=options)
    kept = query.replace("\t", " ")  # MindsDB keeps lines, and counts blanks
    version = dataclasses.replace(V, query=kept, options=json.loads(json.dumps(options)))
    assert plan(model, (version,)).actions == []


REFUSED = [
    pytest.param({"name": "m; DROP"}, "lower-case letters", id="SQL in the name"),
    pytest.param({"target": "y` USING engine = 'x"}, "cannot be a name", id="SQL in the target"),
    pytest.param({"target": ""}, "cannot be a name", id="no target"),
    pytest.param({"query": "SELECT 1) PREDICT x --"}, "parentheses do not match", id="SQL after the query"),
    pytest.param({"query": None}, "belong together", id="a data source without a query"),
    pytest.param({"datasource": "a.b"}, "data source 'a.b'", id="a bad data source"),
    pytest.param({"engine": "a b"}, "engine 'a b'", id="a bad engine"),
    pytest.param({"options": {"engine": "x"}}, "option engine is taken", id="the engine in the options"),
    pytest.param({"options": {"tag": "x"}}, "option tag is taken", id="the tag"),
    pytest.param({"options": {"Seed": 1}}, "option 'Seed'", id="a name that MindsDB would change"),
    pytest.param({"options": {"penalty": -1}}, "option penalty: -1 cannot stand", id="a value that has no SQL"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_refused(change: t.Any, message: str) -> None:
    with pytest.raises(AirgapError, match=message):
        check_models([dataclasses.replace(M, **change)])


def test_twice_and_a_bad_project() -> None:
    with pytest.raises(AirgapError, match=r"project 'My': .*; model m is listed twice"):
        check_models([M, M], project="My")


def test_a_query_cannot_be_forgotten() -> None:
    with pytest.raises(AirgapError, match="Nothing was changed: model m was trained from a query"):
        plan(Model("m", target="y", options={"model": "models:/m/1"}), (V,))


def test_what_is_sent_is_never_empty_and_names_the_source() -> None:
    assert M.using == {"engine": "tabular", "tag": "datasource=plant", "seed": 7}
    assert Model("m", target="y").using == {"engine": "tabular"}


# What MindsDB 26.1.0 answers to GET /api/projects/mindsdb/models, without what nobody reads.
LISTED: list[dict[str, t.Any]] = [
    {
        "name": "m",
        "version": 2,
        "predict": "y",
        "status": "error",
        "problem_definition": {"__mdb_sql_task": None, "target": "y", "using": {"seed": 7}},
        "active": False,
        "error": "ValueError: no 'rows' here, raised at: /opt/venv/lib/mindsdb/learn_process.py#119",
        "fetch_data_query": QUERY,
        "training_time": 0.0,
    },
    {
        "name": "m",
        "version": 1,
        "predict": "y",
        "status": "complete",
        "problem_definition": {"__mdb_sql_task": None, "target": "y", "using": {"seed": 7}},
        "active": True,
        "error": None,
        "fetch_data_query": QUERY,
        "training_time": 11.0,
    },
]


def test_what_the_server_lists() -> None:
    found = parse_versions(LISTED, engines={("m", 1): "tabular"}, tags={("m", 1): "datasource=plant", ("m", 2): "mine"})
    assert found["m"][0] == dataclasses.replace(V, seconds=11.0)
    # a tag of somebody else's says nothing, and what is not said is inherited
    assert found["m"][1].datasource == "plant"
    assert found["m"][1].error == "ValueError: no 'rows' here"
    assert summary("m", found["m"])["version"] == 1
    assert summary("n", ()) == {"name": "n", "state": "absent"}


def test_errors_stay_whole_but_for_the_line_of_code() -> None:
    text = 'relation "t" does not exist\n LINE 1: SELECT'
    assert training_error({"error": f"{text}, raised at: /a/b.py#61"}) == text
    assert training_error({"error": text}) == text
    assert training_error({}) == ""
