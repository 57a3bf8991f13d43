from __future__ import annotations

import typing as t

import numpy as np
import pandas as pd
import pytest
from engine_tables import cancer, diabetes, mixed, progression
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from tabular_handler.columns import Column, encode
from tabular_handler.errors import TrainingError
from tabular_handler.options import Options, parse_options
from tabular_handler.pipelines import build_pipeline
from tabular_handler.predicting import ask_pipeline
from tabular_handler.training import Prepared, Trained, prepare, train

LINEAR, BOOSTING = Options(algorithm="linear"), Options(algorithm="boosting")


def learn(prepared: Prepared, options: Options) -> Trained:
    return train(prepared.columns, prepared.problem, prepared.features, prepared.labels, options)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.linspace(0, 1, 40), "regression", id="fractions"),
        pytest.param(np.arange(40) * 3, "regression", id="many whole numbers"),
        pytest.param(np.arange(40) % 10, "classification", id="ten whole numbers"),
        pytest.param(np.arange(40) % 11, "regression", id="eleven whole numbers"),
        pytest.param(np.arange(40) % 2 + 0.5, "regression", id="two fractions"),
        pytest.param(["a", "b"] * 20, "classification", id="texts"),
        pytest.param([True, False] * 20, "classification", id="booleans"),
    ],
)
def test_problem_follows_from_the_target(values: t.Any, expected: str) -> None:
    prepared = prepare(pd.DataFrame({"x": range(40), "y": values}), "y", Options())
    assert prepared.problem == expected


def test_whole_numbers_of_a_small_table_are_quantities() -> None:
    frame = pd.DataFrame({"x": range(10), "y": [1, 2, 3, 4, 5, 6, 7, 8, 1, 2]})
    assert prepare(frame, "y", Options()).problem == "regression"


def test_problem_can_be_said() -> None:
    frame = pd.DataFrame({"x": range(40), "y": np.arange(40) % 4})
    assert prepare(frame, "y", Options()).labels.dtype == np.int64
    assert prepare(frame, "y", parse_options({"problem": "regression"})).problem == "regression"


TEN = {"x": list(range(12)), "z": ["a", "b", "c"] * 4}
BAD_TABLES = [
    pytest.param({"x": [], "y": []}, {}, "returns no row", id="empty table"),
    pytest.param({"x": [1, 2], "y": [1, 2]}, {}, "2 rows: at least 10 are needed", id="too few rows"),
    pytest.param({"y": list(range(12))}, {}, "no column but the target 'y'", id="nothing to learn from"),
    pytest.param({**TEN, "y": ["a"] * 12}, {}, "one class alone in all 12 rows", id="one class"),
    pytest.param({**TEN, "y": [True] * 12}, {}, "one class alone", id="one truth"),
    pytest.param({**TEN, "y": [2.5] * 12}, {}, "the same value in every row", id="one number"),
    pytest.param({**TEN, "y": [3] * 12}, {}, "one class alone", id="one whole number"),
    pytest.param({**TEN, "y": [None] * 12}, {}, "'y' is null in 12 of 12 rows", id="all-missing target"),
    pytest.param({**TEN, "y": [np.nan, *range(11)]}, {}, "null in 1 of 12 rows: leave them out, for example with WHERE y IS NOT NULL", id="NaN in target"),
    pytest.param({**TEN, "x": [None] * 12, "y": list(range(12))}, {}, "'x' is null in every row", id="all-missing column"),
    pytest.param({**TEN, "y": ["a", *["b", "c"] * 5, "b"]}, {}, "1 of its 3 classes in one row only", id="a class of one"),
    pytest.param({**TEN, "y": [np.inf, *range(11)]}, {}, "infinite values", id="infinite target"),
    pytest.param({**TEN, "x": [np.inf, *range(11)], "y": list(range(12))}, {}, "'x' takes a number or null: the value in row 1", id="infinite value"),
    pytest.param({**TEN, "y": ["2020-01-01", "2020-01-02"] * 6}, {}, "'y' is date: only numbers and classes", id="a date"),
    pytest.param({**TEN, "y": ["a", "b"] * 6}, {"problem": "regression"}, "needs numbers", id="regression of texts"),
    pytest.param({"x": list(range(240)), "y": [f"c{n % 120}" for n in range(240)]}, {}, "120 classes, more than 100", id="too many classes"),
    pytest.param({**TEN, "y": list(range(12))}, {"max_categories": 2}, "'z' holds 3 different texts in 12 rows, more than 2", id="too many categories"),
    pytest.param({**TEN, "y": [1, "a"] * 6}, {}, "'y' mixes category and numeric", id="mixed target"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "using", "text"), BAD_TABLES)
def test_bad_tables(data: dict[str, t.Any], using: dict[str, t.Any], text: str) -> None:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in data.items()})
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its type is what is asked next
        prepare(frame, "y", parse_options(using))
    assert type(caught.value).__name__ in ("TrainingError", "InputError")
    assert text in str(caught.value)


def with_a_rare_class(rows: int, rare: int) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(rows) % 20, "y": ["a"] * rare + ["b"] * (rows - rare)})


@pytest.mark.parametrize("options", [Options(), BOOSTING])
def test_a_class_of_two_in_a_large_table(options: Options) -> None:
    with pytest.raises(TrainingError, match="has 1 of its 2 classes in fewer than 3 rows, too few"):
        prepare(with_a_rare_class(20_001, 2), "y", options)


@pytest.mark.parametrize(
    ("rows", "rare", "options"),
    [
        pytest.param(20_000, 2, BOOSTING, id="halves without early stopping"),
        pytest.param(20_001, 3, BOOSTING, id="a row more of the class"),
        pytest.param(20_001, 2, LINEAR, id="linear never stops early"),
    ],
)
def test_the_rarest_class_that_can_be_learned(rows: int, rare: int, options: Options) -> None:
    trained = learn(prepare(with_a_rare_class(rows, rare), "y", options), options)
    assert np.isfinite(trained.metrics["cv_log_loss"])


def test_the_target_twice() -> None:
    frame = pd.DataFrame([[1, 2, 3]] * 12, columns=["x", "y", "y"])
    with pytest.raises(TrainingError, match="the target 'y' twice"):
        prepare(frame, "y", Options())


def test_the_order_of_the_rows_does_not_matter() -> None:
    one = prepare(mixed(), "answer", Options())
    other = prepare(mixed().sample(frac=1, random_state=3), "answer", Options())
    assert one.digest == other.digest
    pd.testing.assert_frame_equal(one.features, other.features)
    assert np.array_equal(one.labels, other.labels)


CHANGES: list[t.Any] = [
    pytest.param(lambda frame: frame.drop(index=0), id="a row less"),
    pytest.param(lambda frame: frame.rename(columns={"number": "nummer"}), id="another name"),
    pytest.param(lambda frame: frame.assign(number=frame["number"].astype(float).fillna(0)), id="null is not zero"),
    pytest.param(lambda frame: frame.assign(grp=frame["grp"].fillna("")), id="null is not empty"),
    pytest.param(lambda frame: frame.assign(answer=frame["answer"] + 1e-9), id="a little more"),
    pytest.param(lambda frame: frame.assign(flag=frame["flag"].map({True: 1.0, False: 0.0})), id="another type"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_tells_other_data_apart(change: t.Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    assert prepare(mixed(), "answer", Options()).digest != prepare(change(mixed()), "answer", Options()).digest


def test_the_digest_is_the_same_everywhere() -> None:
    # written down: models of years ago are found by it
    frame = pd.DataFrame({"a": [1.0, None] * 6, "b": ["x", "ü", None] * 4, "y": range(12)})
    expected = "sha256:53abc17e84f8287fe1f5c7c75d716f484e220f1cdd7927ae180ad771d41e6e72"
    assert prepare(frame, "y", Options()).digest == expected


@pytest.mark.parametrize("algorithm", ["linear", "boosting"])
@pytest.mark.parametrize("problem", ["regression", "classification"])
def test_same_seed_same_model(algorithm: str, problem: str) -> None:
    frame = mixed() if problem == "regression" else mixed().assign(answer=lambda f: f["answer"] > 1)
    prepared = prepare(frame, "answer", Options())
    assert prepared.problem == problem
    one, other = (learn(prepared, Options(algorithm=algorithm, seed=4)) for _ in range(2))
    ask = "predict" if problem == "regression" else "predict_proba"
    assert np.array_equal(
        getattr(one.pipeline, ask)(prepared.features), getattr(other.pipeline, ask)(prepared.features)
    )
    assert one.metrics == other.metrics


@pytest.mark.parametrize("options", [LINEAR, BOOSTING])
def test_all_types_of_columns_are_learned_from(options: Options) -> None:
    trained = learn(prepare(mixed(400), "answer", Options()), options)
    assert trained.metrics["cv_r2"] > 0.8
    assert trained.metrics["cv_rmse"] < trained.metrics["baseline_rmse"] / 2


def test_the_better_algorithm_is_taken() -> None:
    prepared = prepare(diabetes(), "target", Options())
    trained = learn(prepared, Options())
    assert trained.algorithm == "linear"
    assert trained.metrics["cv_rmse"] < trained.metrics["cv_boosting_rmse"]
    steps = pd.DataFrame({"x": np.arange(400.0), "y": np.arange(400) // 40 % 2 * 10 + np.arange(400) / 1e4})
    assert learn(prepare(steps, "y", Options()), Options()).algorithm == "boosting"


def test_metrics_of_classes() -> None:
    two = learn(prepare(cancer(), "target", LINEAR), LINEAR).metrics
    assert two["cv_accuracy"] > 0.95
    assert two["cv_roc_auc"] > 0.98
    assert two["baseline_accuracy"] == pytest.approx(357 / 569)
    three = learn(prepare(progression(), "sex", LINEAR), LINEAR).metrics
    assert set(three) == set(two)


def test_columns_with_few_values() -> None:
    frame = mixed().assign(rare=[*range(10), *[None] * 110], seldom=[*"aabbccddee", *[None] * 110])
    prepared = prepare(frame, "answer", Options())
    for options in (LINEAR, BOOSTING):
        assert np.isfinite(learn(prepared, options).metrics["cv_rmse"])


def held_out(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    hidden = np.arange(len(frame)) % 3 == 0
    return frame[~hidden], frame[hidden]


def test_linear_regression_is_plain_scikit_learn() -> None:
    known, hidden = held_out(diabetes())
    numbers = [name for name in known.columns if name not in ("sex", "target")]
    plain = make_pipeline(
        ColumnTransformer([("sex", OneHotEncoder(handle_unknown="ignore"), ["sex"]), ("n", StandardScaler(), numbers)]),
        Ridge(),
    )
    expected = plain.fit(known.drop(columns="target"), known["target"]).predict(hidden.drop(columns="target"))
    prepared = prepare(known, "target", LINEAR)
    answers = ask_pipeline(learn(prepared, LINEAR).pipeline, prepared.columns, "target", hidden, classes=False)
    np.testing.assert_allclose(answers["target"], expected, rtol=0, atol=1e-9)


def test_boosting_is_plain_scikit_learn() -> None:
    known, hidden = held_out(diabetes())
    # boosting sums in the order of the rows, and ours have an order of their own
    known = known.sort_values([name for name in known.columns if name != "target"] + ["target"])
    plain = make_pipeline(
        ColumnTransformer([("sex", OrdinalEncoder(), ["sex"])], remainder="passthrough"),
        HistGradientBoostingRegressor(categorical_features=[0], random_state=9),
    )
    expected = plain.fit(known.drop(columns="target"), known["target"]).predict(hidden.drop(columns="target"))
    prepared = prepare(known, "target", BOOSTING)
    trained = learn(prepared, Options(algorithm="boosting", seed=9))
    answers = ask_pipeline(trained.pipeline, prepared.columns, "target", hidden, classes=False)
    np.testing.assert_allclose(answers["target"], expected, rtol=0, atol=1e-9)


def test_classification_with_nulls_is_plain_scikit_learn() -> None:
    known, hidden = held_out(cancer())
    known = known.mask(np.random.default_rng(1).random(known.shape) < 0.05).assign(target=known["target"])
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), LogisticRegression(max_iter=1000)
    )
    expected = numbers.fit(known.drop(columns="target"), known["target"]).predict_proba(hidden.drop(columns="target"))
    prepared = prepare(known, "target", LINEAR)
    built = build_pipeline(prepared.columns, "classification", 0, "linear").fit(prepared.features, prepared.labels)
    features = encode(hidden, [Column(name, "numeric") for name in hidden.columns if name != "target"])
    np.testing.assert_allclose(built.predict_proba(features), expected, rtol=0, atol=1e-6)
