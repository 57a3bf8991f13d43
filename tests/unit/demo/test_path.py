from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

import pytest

from tests.demo.path import Answer, Gateway, miss_and_hit
from tests.demo.steps import DemoError


@dataclass(frozen=True)
class Answering(Gateway):
    """Whether each answer is cached, and what it says, as a test wants it."""

    answers: tuple[tuple[bool, str], ...] = ()
    rows: list[Answer] = field(default_factory=list)

    def predict(self, rows: list[Answer], model: str = "m") -> Answer:
        cached, output = self.answers[len(self.rows)]
        self.rows.extend(rows)
        return {"predictions": [{"cached": cached, "output": output, "decision_id": "d"}]}


def test_a_new_row_is_missed_and_then_hit() -> None:
    gateway = Answering("", "", ((False, "low"), (True, "low")))
    assert miss_and_hit(gateway, {"bmi": 21.5, "age": 40}, "m") == [False, True]
    first, again = gateway.rows
    assert first == again != {"bmi": 21.5, "age": 40}


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        pytest.param(((True, "low"), (True, "low")), "was answered from the cache", id="known before"),
        pytest.param(((False, "low"), (False, "low")), "was not answered from the cache", id="never cached"),
        pytest.param(((False, "low"), (True, "high")), "answers otherwise", id="another answer"),
    ],
)
def test_what_is_not_so_is_said(answers: t.Any, says: str) -> None:
    with pytest.raises(DemoError, match=says):
        miss_and_hit(Answering("", "", answers), {"bmi": 21.5}, "m")
