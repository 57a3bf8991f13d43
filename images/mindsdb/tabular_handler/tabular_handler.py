"""MindsDB's side of the engine: it keeps what a model is, and hands rows to the parts that know about them."""

from __future__ import annotations

import datetime as dt
import functools
import json
import typing as t

import mindsdb.interfaces.storage.db as db
import pandas as pd
import threadpoolctl
from mindsdb.integrations.libs.base import BaseMLEngine

from .bounded import train_bounded
from .columns import columns_from_json, columns_to_json, describe_columns
from .errors import OptionError, TabularError, TrainingError
from .options import Options, parse_options
from .pipelines import CLASSIFICATION
from .predicting import ask_pipeline, ask_pyfunc
from .registry import Version, check, load_pipeline, load_pyfunc, record, resolve
from .training import prepare

__all__ = ("TabularHandler",)

SECTIONS = ("model", "columns", "metrics")


@functools.cache
def _one_thread() -> object:
    """For this process: OpenMP's spinning threads would fight over the few cores of a pod, for no gain on a few rows."""
    return threadpoolctl.threadpool_limits(limits=1)


class TabularHandler(BaseMLEngine):  # type: ignore[misc] # MindsDB has no types
    name = "tabular"

    @staticmethod
    def create_validation(target: str, args: dict[str, t.Any] | None = None, **_: t.Any) -> None:
        """MindsDB asks before it makes a model, so that a slip in USING leaves none behind."""
        parse_options((args or {}).get("using"))

    def create(self, target: str, df: pd.DataFrame | None = None, args: dict[str, t.Any] | None = None) -> None:
        options = parse_options((args or {}).get("using"))
        if not target:
            raise OptionError("CREATE MODEL has no PREDICT: name the column to predict.")
        check()
        made = self._serve(options.model) if options.model else self._train(target, df, options)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.model_storage.json_set("model", {"target": target, "trained_at": now, **made})

    def _train(self, target: str, df: pd.DataFrame | None, options: Options) -> dict[str, t.Any]:
        if df is None:
            raise TrainingError(
                "CREATE MODEL has no FROM: name the rows to learn from, or a model to serve with USING model=."
            )
        mine = db.Predictor.query.get(self.model_storage.predictor_id)
        prepared = prepare(df, target, options)
        trained = train_bounded(prepared, options)
        tags = {"mindsdb_model": mine.name, "mindsdb_version": str(_number_of(mine))}
        version = record(prepared, trained, options, options.name or mine.name, tags)
        return {
            "kind": "trained",
            "problem": prepared.problem,
            "mlflow_model": version.name,
            "mlflow_version": version.version,
            "run_id": version.run_id,
            "sha256": version.sha256,
            "data_digest": prepared.digest,
            "columns": columns_to_json(prepared.columns),
            "metrics": trained.metrics,
            "algorithm": trained.algorithm,
            "seed": options.seed,
            "rows": len(prepared.labels),
        }

    def _serve(self, uri: str) -> dict[str, t.Any]:
        version = resolve(uri)
        served = load_pyfunc(version)
        return {
            "kind": "registry",
            "mlflow_model": version.name,
            "mlflow_version": version.version,
            "run_id": version.run_id,
            "columns": columns_to_json(served.columns),
        }

    def predict(self, df: pd.DataFrame, args: dict[str, t.Any] | None = None) -> pd.DataFrame:
        model = self._model()
        _one_thread()
        columns = columns_from_json(model["columns"])
        version = Version(model["mlflow_model"], model["mlflow_version"], model["run_id"], model.get("sha256", ""))
        if model["kind"] == "registry":
            return ask_pyfunc(load_pyfunc(version).model, columns, model["target"], df)
        classes = model["problem"] == CLASSIFICATION
        return ask_pipeline(load_pipeline(version), columns, model["target"], df, classes=classes)

    def describe(self, attribute: str | list[str] | None = None) -> pd.DataFrame:
        if attribute is None:
            return pd.DataFrame({"tables": list(SECTIONS)})
        model = self._model()
        columns = describe_columns(columns_from_json(model["columns"]))
        metrics = model.get("metrics", {})
        match attribute:
            case "model":
                return pd.DataFrame([_row(model, columns, metrics)])
            case "columns":
                return pd.DataFrame(columns)
            case "metrics":
                return pd.DataFrame({"name": list(metrics), "value": list(metrics.values())})
        raise OptionError(f"There is nothing to describe as '{attribute}': ask for {', '.join(SECTIONS)}.")

    def finetune(self, df: pd.DataFrame | None = None, args: dict[str, t.Any] | None = None) -> None:
        raise TabularError("Engine tabular cannot FINETUNE: RETRAIN makes a new version from all rows.")

    def update(self, args: dict[str, t.Any]) -> None:
        raise TabularError("Engine tabular cannot change a trained model: RETRAIN makes a new version.")

    def _model(self) -> dict[str, t.Any]:
        model = self.model_storage.json_get("model")
        if not model:
            raise TabularError("This model was never trained to its end: look at its ERROR, and RETRAIN it.")
        return t.cast("dict[str, t.Any]", model)


def _number_of(record: t.Any) -> int:
    # MindsDB computes it in SQL while it inserts: a record of this session may not have read it back
    db.session.refresh(record)
    return int(record.version)


def _row(model: dict[str, t.Any], columns: list[dict[str, t.Any]], metrics: dict[str, float]) -> dict[str, t.Any]:
    keys = ("kind", "target", "problem", "mlflow_model", "mlflow_version", "run_id", "data_digest")
    return {
        **{key: model.get(key) for key in keys},
        "columns": json.dumps(columns, ensure_ascii=False),
        "metrics": json.dumps(metrics),
        **{key: model.get(key) for key in ("trained_at", "algorithm", "seed", "rows")},
    }
