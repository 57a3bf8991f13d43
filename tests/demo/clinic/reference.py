# scikit-learn and the engine are in the pods that this runs in, not where it is checked.
# mypy: ignore-errors
"""The same prediction without MindsDB, gateway and MLflow: plain scikit-learn on the same rows, as JSON on standard output.

Runs in MindsDB's pod, `python - < reference.py`: the pipeline is the engine's, everything around it is not.
"""

from __future__ import annotations

import bisect
import importlib.util
import json
import sys
from pathlib import Path

from sklearn.datasets import load_diabetes

# The engine's package alone: MindsDB itself is neither needed nor started.
HANDLERS = importlib.util.find_spec("mindsdb").submodule_search_locations
sys.path.insert(0, str(Path(next(iter(HANDLERS))) / "integrations/handlers"))

from tabular_handler.columns import encode, find_columns
from tabular_handler.pipelines import build_pipeline

EDGES = (35, 50, 65)
ORDER = ["bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6", "age", "sex"]
SEED = 7


def coarse(age: float) -> str:
    """The band of an age, written as the policy's bins are."""
    place = bisect.bisect_right(EDGES, age)
    if place == 0:
        return f"< {EDGES[0]}"
    return f">= {EDGES[-1]}" if place == len(EDGES) else f"[{EDGES[place - 1]}, {EDGES[place]})"


def main() -> None:
    frame = load_diabetes(as_frame=True, scaled=False).frame
    truth = frame.pop("target").map(lambda value: "high" if value >= 140 else "low")
    raw = [{"id": ident, **row} for ident, row in enumerate(frame.to_dict("records")) if ident % 3 == 0]
    frame["age"] = frame["age"].map(coarse)
    trained, held_out = [frame[[(ident % 3 == 0) is held for ident in frame.index]] for held in (False, True)]
    # the order of MindsDB's training query: sums of floats depend on it in the last digit
    trained = trained.sort_values(ORDER)
    columns = find_columns(trained, 200)
    model = build_pipeline(columns, "classification", SEED, "linear")
    model.fit(encode(trained, columns), truth[trained.index])
    probabilities = model.predict_proba(encode(held_out, columns))
    answers = [
        {
            "row": row,
            "truth": actual,
            "progression": str(model.classes_[shares.argmax()]),
            "probabilities": dict(zip(map(str, model.classes_), map(float, shares), strict=True)),
        }
        for row, actual, shares in zip(raw, truth[held_out.index], probabilities, strict=True)
    ]
    json.dump(answers, sys.stdout)


main()
