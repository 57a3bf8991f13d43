from __future__ import annotations

import typing as t

import pytest

from tabular_handler.errors import OptionError
from tabular_handler.options import Options, parse_options


@pytest.mark.parametrize(
    ("using", "expected"),
    [
        pytest.param(None, Options(), id="nothing given"),
        pytest.param({"engine": "tabular"}, Options(), id="MindsDB's own word is not an option"),
        pytest.param({"SEED": "7", "Time_Limit": 60}, Options(seed=7, time_limit=60), id="SQL does not care for case"),
        pytest.param(
            {"algorithm": "Linear", "problem": "REGRESSION"},
            Options(algorithm="linear", problem="regression"),
            id="words",
        ),
        pytest.param({"name": " income "}, Options(name="income"), id="name is trimmed"),
        pytest.param({"max_categories": 254}, Options(max_categories=254), id="most categories"),
        pytest.param({"model": "models:/a@b"}, Options(model="models:/a@b"), id="a model of the registry"),
    ],
)
def test_options(using: dict[str, t.Any] | None, expected: Options) -> None:
    assert parse_options(using) == expected


@pytest.mark.parametrize(
    ("using", "text"),
    [
        pytest.param({"sead": 1}, "no option 'sead': did you mean 'seed'?", id="a slip"),
        pytest.param({"frobnicate": 1}, "no option 'frobnicate': It knows seed, time_limit", id="unknown"),
        pytest.param({"seed": -1}, "seed must be a whole number from 0 to 4294967295", id="negative seed"),
        pytest.param({"seed": True}, "seed must be a whole number", id="boolean seed"),
        pytest.param({"seed": 1.5}, "seed must be a whole number", id="broken seed"),
        pytest.param({"seed": "x"}, "seed must be a whole number", id="text seed"),
        pytest.param({"time_limit": 0}, "time_limit must be a whole number from 1 to 86400", id="no time"),
        pytest.param({"max_categories": 255}, "from 2 to 254", id="more categories than boosting has bins"),
        pytest.param({"algorithm": "magic"}, "algorithm must be one of auto, boosting, linear", id="algorithm"),
        pytest.param({"problem": 3}, "problem must be one of classification, regression", id="problem"),
        pytest.param({"name": "a/b"}, "without '/' and ':'", id="a name that MLflow refuses"),
        pytest.param({"name": " "}, "name must be a text", id="empty name"),
        pytest.param({"model": "models:/a/1", "seed": 3}, "and also seed", id="nothing to train with a served model"),
        pytest.param({"model": 7}, "model must be a text like", id="model is no text"),
    ],
)
def test_wrong_options(using: dict[str, t.Any], text: str) -> None:
    with pytest.raises(OptionError, match="^USING") as caught:
        parse_options(using)
    assert text in str(caught.value)
