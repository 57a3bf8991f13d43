# scikit-learn and the engine are in the pods that this runs in, not where it is checked.
# mypy: ignore-errors
"""scikit-learn's diabetes table as SQL on standard output. Runs where scikit-learn is: `python - < table.py` in MLflow's pod."""

from __future__ import annotations

import sys

from sklearn.datasets import load_diabetes

COLUMNS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def main() -> None:
    frame = load_diabetes(as_frame=True, scaled=False).frame
    values = []
    for ident, row in enumerate(frame.to_dict("records")):
        progression = "high" if row["target"] >= 140 else "low"
        numbers = ", ".join(repr(float(row[name])) for name in COLUMNS)
        values.append(f"({ident}, {numbers}, '{progression}')")
    sys.stdout.write("INSERT INTO patients VALUES\n" + ",\n".join(values) + "\nON CONFLICT DO NOTHING;\n")


main()
