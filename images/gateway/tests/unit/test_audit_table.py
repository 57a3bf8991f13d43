"""Decisions and facts become counts; what is no label is counted, not guessed."""

from __future__ import annotations

import pytest

from gateway.audit.decisions import Decision
from gateway.audit.facts import Fact
from gateway.audit.labels import label_text
from gateway.audit.table import MAX_VALUES, Counts, Table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("low", "low"),
        (True, "true"),
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (10**20, "1" + "0" * 20),
        ("", ""),
    ],
)
def test_labels_compare_as_text(value: object, text: str) -> None:
    assert label_text(value) == text


@pytest.mark.parametrize("value", [None, [], {}, float("nan"), float("inf"), b"low"])
def test_what_is_no_label_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a label is"):
        label_text(value)


def decision(ident: str, answer: object) -> Decision:
    return Decision(ident, "progression", "1", {"progression": answer, "progression_explain": {}})


def count(decisions: list[Decision], facts: dict[str, Fact]) -> Table:
    table = Table(["sex", "age"], target="progression", favourable="low")
    for one in decisions:
        table.add(one, facts.get(one.id))
    return table


def test_counts_by_group() -> None:
    decisions = [
        decision("a", "low"), decision("b", "low"), decision("c", "high"), decision("d", "high"), decision("e", "low"),
        decision("f", "high"), decision("g", None), Decision("h", "progression", "1", {}), decision("i", "low"),
    ]  # fmt: skip
    facts = {
        "a": Fact({"sex": 1}, "low"), "b": Fact({"sex": 1.0}, "high"), "c": Fact({"sex": 1}, "high"), "d": Fact({"sex": 2}, "low"),
        "e": Fact({"sex": 2}, None), "f": Fact({"sex": "2"}, None), "g": Fact({"sex": 1}, "low"), "i": Fact({"sex": None}, "low"),
    }  # fmt: skip
    table = count(decisions, facts)
    assert (table.decisions, table.labelled, table.unreadable) == (7, 5, 2)
    assert table.groups("sex") == (
        Counts("1", true_positive=1, false_positive=1, true_negative=1),
        Counts("2", false_negative=1, open_positive=1, open_negative=1),
    )
    assert (table.missing("sex"), table.late("sex")) == (1, 0)
    assert (table.groups("age"), table.missing("age")) == ((), 7)


def test_a_decision_without_facts_stays_a_decision() -> None:
    table = count([decision("a", "low")], {})
    assert (table.decisions, table.labelled) == (1, 0)
    assert (table.groups("sex"), table.missing("sex")) == ((), 1)


def test_values_without_end_are_not_kept() -> None:
    decisions = [decision(str(number), "low") for number in range(MAX_VALUES + 5)]
    facts = {one.id: Fact({"sex": "1" if one.id == "3" else f"text {one.id}"}, None) for one in decisions}
    table = count([*decisions, decision("3", "low")], facts)
    assert len(table.groups("sex")) == MAX_VALUES
    assert table.late("sex") == 5
    assert sum(group.decisions for group in table.groups("sex")) == MAX_VALUES + 1, "a value that is known counts on"
