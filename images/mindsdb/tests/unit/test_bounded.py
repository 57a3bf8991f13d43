from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from engine_tables import progression

from tabular_handler import bounded, memory
from tabular_handler.columns import Column
from tabular_handler.errors import TrainingError
from tabular_handler.options import Options
from tabular_handler.training import Prepared, prepare, train


def test_the_child_trains_what_we_would() -> None:
    options = Options(seed=3)
    prepared = prepare(progression(), "progression", options)
    there = bounded.train_bounded(prepared, options)
    here = train(prepared.columns, prepared.problem, prepared.features, prepared.labels, options)
    assert there.algorithm == here.algorithm
    assert there.metrics == pytest.approx(here.metrics, abs=1e-9)
    np.testing.assert_allclose(
        there.pipeline.predict_proba(prepared.features),
        here.pipeline.predict_proba(prepared.features),
        rtol=0,
        atol=1e-9,
    )


def test_the_time_limit_holds() -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(100_000, 20)), columns=[f"c{n}" for n in range(20)])
    prepared = prepare(frame.assign(y=draw.normal(size=len(frame))), "y", Options())
    started = time.monotonic()
    with pytest.raises(TrainingError, match="took longer than time_limit=2 seconds and was ended: raise time_limit"):
        bounded.train_bounded(prepared, Options(time_limit=2, algorithm="boosting"))
    assert time.monotonic() - started < 60  # a few seconds, but for a busy machine
    assert not children()


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.mark.parametrize(
    ("script", "text"),
    [
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "needs more memory than there is", id="killed"
        ),
        pytest.param("raise MemoryError", "needs more memory than there is", id="no memory"),
        pytest.param(
            "sys.exit('OpenBLAS error: Memory allocation still failed after 10 retries, giving up.')",
            "needs more memory than there is", id="no memory for sums",
        ),
        pytest.param("raise ValueError('what happened')", "exit code 1): ValueError: what happened", id="a bug"),
        pytest.param("raise SystemExit(3)", "exit code 3): no message", id="silent"),
    ],
)  # fmt: skip
def test_a_child_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, text: str) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(f"import sys; sys.stdin.buffer.read()\n{script}\n")
    monkeypatch.setattr(bounded, "WORKER", worker)
    with pytest.raises(TrainingError) as caught:
        bounded.train_bounded(prepare(progression(), "progression", Options()), Options())
    assert text in str(caught.value)
    assert not children()


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[int], None]:
    """A container of which so many MiB are left, and no more than others may need."""

    def limit(mebibytes: int) -> None:
        (tmp_path / "memory.max").write_text(str((1024 + mebibytes) * 2**20 + bounded.RESERVE))
        (tmp_path / "memory.current").write_text(str(1024 * 2**20))
        (tmp_path / "memory.stat").write_text("")

    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    return limit


@pytest.mark.parametrize("algorithm", ["linear", "boosting"])
def test_training_works_in_what_is_left(limited: t.Callable[[int], None], algorithm: str) -> None:
    limited(400)
    options = Options(algorithm=algorithm)
    prepared = prepare(progression(), "progression", options)
    trained = bounded.train_bounded(prepared, options)
    assert trained.metrics["cv_accuracy"] > trained.metrics["baseline_accuracy"]


@pytest.mark.parametrize("left", [-5, 100, 256, 300, 400])
def test_training_ends_where_memory_does(limited: t.Callable[[int], None], left: int) -> None:
    """Wherever the limit meets it: before it begins, while it reads the rows, in numpy, in scikit-learn."""
    limited(left)
    rows = np.random.default_rng(0).normal(size=(300_000, 20))
    names = [f"c{number}" for number in range(20)]
    columns = tuple(Column(name, "numeric") for name in names)
    prepared = Prepared(columns, "y", "regression", pd.DataFrame(rows, columns=names), rows[:, 0], "")
    with pytest.raises(TrainingError) as caught:
        bounded.train_bounded(prepared, Options(algorithm="linear"))
    assert str(caught.value) == (
        f"Training on 300000 rows needs more memory than the {max(left, 0)} MiB that are left in MindsDB's limit: "
        f"select fewer rows or columns, or raise mindsdb_resources.limits.memory."
    )
    assert not children()
