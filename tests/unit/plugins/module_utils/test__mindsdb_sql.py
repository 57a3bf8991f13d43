# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is written into MindsDB's SQL is read by MindsDB's own parser as what it was, or is refused."""

from __future__ import annotations

import json
import typing as t
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_sql import (
    SqlError,
    create_model,
    literal,
    name_problem,
    normal_query,
    query_problem,
    quote,
    retrain_model,
)

# A text of letters alone would hardly ever be an attack.
TEXTS = st.text(st.one_of(st.sampled_from("'\"`\\;:()-/*{}[]=, \n\tax0_$@?#"), st.characters()), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=0) | st.floats(min_value=0, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PLAIN: dict[str, t.Any] = {"project": "mindsdb", "name": "m", "datasource": "plant", "query": "SELECT 1", "target": "y"}


def parse(statement: str) -> t.Any:
    """What MindsDB makes of a statement; None where it refuses it."""
    parser = pytest.importorskip("mindsdb_sql_parser", reason="MindsDB's parser needs a newer Python than a node's")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its own grammar file open
        try:
            return parser.parse_sql(statement)
        except (parser.exceptions.ParsingException, parser.lexer.LexError):
            return None


@given(value=VALUES)
def test_a_value_arrives_as_it_is(value: t.Any) -> None:
    try:
        text = literal(value)
    except SqlError:
        return
    # the options after it must still be there: a text that swallowed them would have been an attack
    statement = create_model(**PLAIN, using={"engine": "tabular", "first": value, "last": "kept"})
    assert text in statement
    assert same(parse(statement).using, {"engine": "tabular", "first": value, "last": "kept"})


def same(one: t.Any, other: t.Any) -> bool:
    return json.dumps(one) == json.dumps(other)  # which tells true from 1 at every depth


@given(target=TEXTS)
def test_a_target_arrives_as_it_is(target: str) -> None:
    try:
        quote(target)
    except SqlError:
        return
    found = parse(create_model(**{**PLAIN, "target": target}, using={"engine": "tabular"}))
    assert [column.parts[-1] for column in found.targets] == [target]
    assert found.using == {"engine": "tabular"}


@settings(max_examples=300)
@given(rest=TEXTS)
def test_a_query_stays_between_its_parentheses(rest: str) -> None:
    query = f"SELECT {rest}"
    if query_problem(query):
        return
    found = parse(create_model(**{**PLAIN, "query": query}, using={"engine": "tabular"}))
    if found is None:  # a text that is no SQL is the server's to refuse, with nothing run
        return
    assert type(found).__name__ == "CreatePredictor"
    assert normal_query(found.query_str) == normal_query(query)
    assert [column.parts[-1] for column in found.targets] == ["y"]
    assert found.using == {"engine": "tabular"}


@given(text=TEXTS)
def test_the_normal_form_is_its_own(text: str) -> None:
    if not query_problem(text):
        assert normal_query(normal_query(text)) == normal_query(text)


def test_a_retraining_says_the_same() -> None:
    found = parse(retrain_model(**PLAIN, using={"engine": "tabular"}))
    assert (type(found).__name__, found.name.parts, found.query_str) == (
        "RetrainPredictor",
        ["mindsdb", "m"],
        "SELECT 1",
    )


def test_a_model_of_a_registry_has_no_query() -> None:
    statement = create_model(**{**PLAIN, "datasource": None, "query": None}, using={"model": "models:/m@champion"})
    assert statement == "CREATE MODEL `mindsdb`.`m` PREDICT `y` USING `model` = 'models:/m@champion'"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "null", id="nothing"),
        pytest.param(True, "true", id="a truth, which is an int in Python"),
        pytest.param(7, "7", id="a number"),
        pytest.param(0.1, "0.1", id="a fraction"),
        pytest.param(1e-05, "0.00001", id="no exponent"),
        pytest.param(1e22, "10000000000000000000000.0", id="no exponent up there either"),
        pytest.param("it's; DROP", "'it''s; DROP'", id="a quote"),
        pytest.param("", "''", id="an empty text"),
        pytest.param([1, "a"], "[1, 'a']", id="a list"),
        pytest.param({"a b": {"c": []}}, "{'a b': {'c': []}}", id="a dictionary"),
    ],
)
def test_literal(value: t.Any, text: str) -> None:
    assert literal(value) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(-1, "only numbers from 0", id="a sign"),
        pytest.param(-0.0, "only numbers from 0", id="a sign of nothing"),
        pytest.param(float("nan"), "only numbers from 0", id="not a number"),
        pytest.param("'a", "lose the quote", id="a quote in front"),
        pytest.param("a'", "lose the quote", id="a quote at the end"),
        pytest.param("a\\", "backslash at its end", id="a backslash that would swallow the quote"),
        pytest.param("a\\'b", "backslash at its end", id="an escaped quote"),
        pytest.param("a\0b", "control character", id="NUL"),
        pytest.param({"x": [-1]}, "only numbers from 0", id="deep inside"),
        pytest.param({1, 2}, "type set", id="no JSON"),
    ],
)
def test_no_literal(value: t.Any, message: str) -> None:
    with pytest.raises(SqlError, match=message):
        literal(value)


@pytest.mark.parametrize("name", ["m", "income_2026", "a" * 63])
def test_names(name: str) -> None:
    assert not name_problem(name)


@pytest.mark.parametrize("name", ["", "M", "1m", "_m", "a-b", "a.b", "a b", "a`b", "a;b", "a\n", "ä", "a" * 64])
def test_no_names(name: str) -> None:
    assert "lower-case letters" in name_problem(name)


@pytest.mark.parametrize("name", ["", " ", "a`b", "a\\b", "a\nb", "a\0b"])
def test_no_columns(name: str) -> None:
    with pytest.raises(SqlError, match="cannot be a name"):
        quote(name)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param(
            "SELECT 1) PREDICT x USING engine = 'evil' --", "parentheses do not match", id="out of the parentheses"
        ),
        pytest.param("SELECT (1", "parentheses do not match", id="one too few"),
        pytest.param("SELECT 1; DROP TABLE t", "semicolon", id="another statement"),
        pytest.param("SELECT 1;", "semicolon", id="a semicolon at the end"),
        pytest.param("SELECT 'a", "has ' without its end", id="an open text"),
        pytest.param("SELECT /* a", "has /* without its end", id="an open comment"),
        pytest.param("SELECT 'a\\' b'", "backslash before a quote", id="an escape that a database does not know"),
        pytest.param("SELECT a[1:n]", "takes for a parameter", id="what MindsDB would change"),
        pytest.param("DELETE FROM t", "does not begin with SELECT", id="no query"),
        pytest.param("", "does not begin with SELECT", id="nothing"),
        pytest.param("-- SELECT 1", "does not begin with SELECT", id="a comment"),
        pytest.param("SELECT\0", "control character", id="NUL"),
    ],
)
def test_no_queries(query: str, message: str) -> None:
    assert message in query_problem(query)


@pytest.mark.parametrize(
    ("query", "normal"),
    [
        pytest.param(" SELECT  1\n\n FROM t ", "SELECT 1\nFROM t", id="blanks"),
        pytest.param("SELECT a /* ) */, b -- ;\nFROM t -- the end", "SELECT a , b\nFROM t", id="comments"),
        pytest.param("SELECT 'a  -- b;', \"c  ) d\" FROM t", "SELECT 'a  -- b;', \"c  ) d\" FROM t", id="texts stay"),
        pytest.param(
            "with x as (select 1::int) select ':n' from x", "with x as (select 1::int) select ':n' from x", id="casts"
        ),
    ],
)
def test_normal_query(query: str, normal: str) -> None:
    assert not query_problem(query)
    assert normal_query(query) == normal
