"""Names in MLflow: what clients call a group becomes a part of one, and no group takes another's place."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name, _validate_tag_name

from gateway.audit.log import name_part

# Most of what collides does so by its signs, its length, or by looking like what another one becomes.
TEXT = st.text(max_size=200) | st.text(alphabet="<>_-. /0aÄ男", max_size=4)
LONGEST = "equalized_odds_difference.high"


@pytest.mark.parametrize("text", ["1", "sex", "age_band", "north-west", "x" * 80])
def test_a_plain_name_stays(text: str) -> None:
    assert name_part(text) == text


@given(TEXT, TEXT)
@example("<50", ">50")
@example("男", "女")
@example("", "_")
@example("x" * 81, "x" * 82)
@example("<50", name_part("<50"))  # what another one becomes is a name that a client can send
@example("a/b", name_part("a b"))
def test_distinct_names_stay_distinct(one: str, other: str) -> None:
    assert (name_part(one) == name_part(other)) == (one == other)


@given(TEXT, TEXT)
@example("x" * 200, "Ä" * 200)
@example("..", "/")
def test_every_name_is_one_that_mlflow_takes(attribute: str, group: str) -> None:
    key = f"{name_part(attribute)}.group.{name_part(group)}.{LONGEST}"
    _validate_metric_name(key)  # type: ignore[no-untyped-call]
    _validate_tag_name(f"verdict.{name_part(attribute)}")  # type: ignore[no-untyped-call]
    assert len(key) <= MAX_ENTITY_KEY_LENGTH


@given(TEXT)
def test_a_name_is_a_file_of_its_own_folder(text: str) -> None:
    assert set(name_part(text)) <= set(string.ascii_letters + string.digits + "_-")
    assert name_part(text)
