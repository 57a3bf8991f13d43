"""Tables for the tests: real ones that scikit-learn has on disk, and a small one with every type of column."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes

__all__ = ("cancer", "diabetes", "mixed", "progression")


def diabetes() -> pd.DataFrame:
    """442 patients with a measure of disease progression, and their sex as a code."""
    frame: pd.DataFrame = load_diabetes(as_frame=True, scaled=False).frame
    return frame.assign(sex=frame["sex"].map({1.0: "1", 2.0: "2"}))


def progression() -> pd.DataFrame:
    frame = diabetes()
    return frame.assign(progression=np.where(frame["target"] >= 140, "high", "low")).drop(columns="target")


def cancer() -> pd.DataFrame:
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame
    return frame


def mixed(rows: int = 120) -> pd.DataFrame:
    """Every type, each with nulls; the answer follows from all of them."""
    draw = np.random.default_rng(5)
    number = draw.normal(size=rows).round(3)
    group = draw.choice(["red", "green", "blue"], rows)
    flag = draw.choice([True, False], rows)
    days = draw.integers(0, 700, rows)
    month = np.array([(dt.date(2020, 1, 1) + dt.timedelta(days=int(day))).month for day in days])
    answer = number + 2 * (group == "red") + flag + 1.5 * np.cos(month / 12 * 2 * np.pi) + draw.normal(size=rows) / 10
    frame = pd.DataFrame(
        {
            "number": pd.Series(number, dtype=object),
            "grp": pd.Series(group, dtype=object),
            "flag": pd.Series(flag, dtype=object),
            "day": pd.Series([dt.date(2020, 1, 1) + dt.timedelta(days=int(day)) for day in days], dtype=object),
            "seen": pd.Series([dt.datetime(2021, 5, 1, int(day) % 24) for day in days], dtype=object),
        }
    )
    for place, name in enumerate(frame.columns):
        frame.loc[place::13, name] = None
    return frame.assign(answer=answer)
