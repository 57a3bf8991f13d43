"""MLflow: write down a training and register its model, and get exactly one version back."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import re
import tempfile
import typing as t
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import requests
import skops.io
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.pipeline import Pipeline

from .columns import CATEGORY, Column, columns_to_json
from .copies import KEPT, Copy, hold_copy
from .errors import RegistryError
from .options import Options
from .signature import columns_of, signature_of
from .training import Prepared, Trained

__all__ = ("Served", "Version", "check", "load_pipeline", "load_pyfunc", "record", "resolve")

EXPERIMENT = "mindsdb"
URI = re.compile(r"models:/(?P<name>[^/:@]+)(?:@(?P<alias>[^/:@]+)|/(?P<version>\d+))")
MODEL_FILE = "model.skops"
# What our pipelines hold besides what skops knows to be harmless. Not read from the model: a model that somebody
# changed in the store could name anything there.
TRUSTED = [
    "functools.partial",
    "numpy.dtype",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
]
REQUIREMENTS = ("numpy", "pandas", "scikit-learn", "scipy", "skops")
# MindsDB reaches MLflow and not its object store; and an MLflow that is away is to be said in seconds.
ENVIRONMENT = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
PROBE_SECONDS = 5


@dataclass(frozen=True)
class Version:
    name: str
    version: str
    run_id: str
    sha256: str = ""


@dataclass(frozen=True)
class Served:
    """A pyfunc with the columns of its signature."""

    model: t.Any
    columns: tuple[Column, ...]


def check() -> MlflowClient:
    """A client of an MLflow that answers."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise RegistryError("MLFLOW_TRACKING_URI is not set for MindsDB: the engine keeps its models in MLflow.")
    if uri.startswith("http"):
        try:
            answer = requests.get(f"{uri.rstrip('/')}/health", timeout=PROBE_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as exc:
            raise RegistryError(
                f"MLflow does not answer ({type(exc).__name__} at MLFLOW_TRACKING_URI): "
                f"models are kept and read there. Try again when it is back."
            ) from exc
    return MlflowClient()


@contextlib.contextmanager
def _mlflow(doing: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, requests.RequestException, OSError) as exc:
        lines = str(exc).strip().splitlines() or [type(exc).__name__]
        raise RegistryError(f"{doing} failed in MLflow: {lines[0]}") from exc


def record(prepared: Prepared, trained: Trained, options: Options, name: str, tags: dict[str, str]) -> Version:
    """One run in the experiment, and its model as a new version of NAME, proved to load and to answer the same."""
    client = check()
    tags = {**tags, "data_digest": prepared.digest, "problem": prepared.problem, "target": prepared.target}
    with _mlflow(f"Writing down the training of '{name}'"):
        experiment = _experiment(client)
        with mlflow.start_run(experiment_id=experiment, run_name=name, tags=tags) as run:
            mlflow.log_params(_params(prepared, trained, options))
            mlflow.log_metrics(trained.metrics)
            mlflow.log_dict({"columns": columns_to_json(prepared.columns)}, "columns.json")
            source = CodeDatasetSource({"mlflow.source.name": "mindsdb"})
            # MLflow's column for a dataset's digest is short: the whole one is a tag
            data = MetaDataset(source, name=name, digest=prepared.digest[-64:][:32])  # type: ignore[abstract]
            mlflow.log_input(data, context="training")
            version = _log_model(prepared, trained, name)
        for key, value in tags.items():
            client.set_model_version_tag(name, version, key, value)
    stored = _read_model(name, version)
    pipeline = skops.io.loads(stored, trusted=TRUSTED)
    sample = prepared.features.head(200)
    if not np.array_equal(_numbers(trained.pipeline, sample), _numbers(pipeline, sample)):
        raise RegistryError(
            f"Version {version} of '{name}' does not answer as the trained model did: it was stored damaged."
        )
    return Version(name, version, run.info.run_id, hashlib.sha256(stored).hexdigest())


def _experiment(client: MlflowClient) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            return str(client.create_experiment(EXPERIMENT))
        except MlflowException:  # another training made it just now
            found = client.get_experiment_by_name(EXPERIMENT)
    if found is None or found.lifecycle_stage != "active":
        raise RegistryError(
            f"MLflow's experiment '{EXPERIMENT}' is deleted: restore it (or delete it for good) and train again."
        )
    return str(found.experiment_id)


def _params(prepared: Prepared, trained: Trained, options: Options) -> dict[str, t.Any]:
    wanted = {
        key: value for key, value in asdict(options).items() if key not in ("algorithm", "model", "name", "problem")
    }
    return {
        **wanted,
        "algorithm": trained.algorithm,
        "algorithm_asked": options.algorithm,
        "columns": len(prepared.columns),
        "problem": prepared.problem,
        "rows": len(prepared.labels),
        "target": prepared.target,
    }


def _log_model(prepared: Prepared, trained: Trained, name: str) -> str:
    info = mlflow.sklearn.log_model(
        trained.pipeline,
        name="model",
        serialization_format="skops",
        skops_trusted_types=TRUSTED,
        signature=signature_of(prepared.columns, prepared.target, prepared.labels),
        input_example=_example(prepared.columns),
        pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in REQUIREMENTS],
        registered_model_name=name,
        metadata={"columns": columns_to_json(prepared.columns), "data_digest": prepared.digest},
    )
    return str(info.registered_model_version)


def _example(columns: Sequence[Column]) -> pd.DataFrame:
    """Of the right shape and types, and of no row that was learned from."""
    return pd.DataFrame({column.name: ["text" if column.type == CATEGORY else 0.0] for column in columns})


def _numbers(pipeline: Pipeline, rows: pd.DataFrame) -> t.Any:
    return pipeline.predict_proba(rows) if hasattr(pipeline, "predict_proba") else pipeline.predict(rows)


def _read_model(name: str, version: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="tabular-") as folder:
        with _mlflow(f"Reading version {version} of '{name}'"):
            mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}/{version}/{MODEL_FILE}", dst_path=folder)
        return next(Path(folder).rglob(MODEL_FILE)).read_bytes()


@functools.lru_cache(maxsize=8)
def load_pipeline(version: Version) -> Pipeline:
    """The pipeline that was trained, once a process; anything else under its name and number is refused."""
    check()
    data = _read_model(version.name, version.version)
    if hashlib.sha256(data).hexdigest() != version.sha256:
        raise RegistryError(
            f"Version {version.version} of '{version.name}' in MLflow is not the one that was trained here "
            f"(its sha256 differs): restore it, or RETRAIN the model."
        )
    return t.cast("Pipeline", skops.io.loads(data, trusted=TRUSTED))


def resolve(uri: str) -> Version:
    """The version that a models:/ URI means now."""
    found = URI.fullmatch(uri)
    if found is None:
        raise RegistryError(
            f"'{uri}' is not a model of MLflow's registry: write models:/NAME@ALIAS or models:/NAME/VERSION."
        )
    client = check()
    name, alias, number = found["name"], found["alias"], found["version"]
    with _mlflow(f"Looking up {uri}"):
        version = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    return Version(name, str(version.version), version.run_id or "")


def _local_copy(uri: str, version: Version) -> Copy:
    key = "\n".join((os.environ["MLFLOW_TRACKING_URI"], version.name, version.version, version.run_id))

    def fetch(folder: Path) -> Path:
        with _mlflow(f"Reading {uri}"):
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=f"{folder}/model"))

    return hold_copy(hashlib.sha256(key.encode()).hexdigest()[:32], fetch)


@functools.lru_cache(maxsize=KEPT)
def load_pyfunc(version: Version) -> Served:
    check()
    uri = f"models:/{version.name}/{version.version}"
    copy = _local_copy(uri, version)
    try:
        served = _load(uri, copy.folder)
    except BaseException:
        copy.release()
        raise
    weakref.finalize(served.model, copy.release)
    return served


def _load(uri: str, folder: Path) -> Served:
    try:
        with _mlflow(f"Loading {uri}"):
            model = mlflow.pyfunc.load_model(str(folder))
    except ModuleNotFoundError as exc:
        raise RegistryError(
            f"{uri} needs the Python package '{exc.name}', which MindsDB's image does not hold: "
            f"add it to images/mindsdb/requirements.in, or log the model without it."
        ) from exc
    except RegistryError:
        raise
    except Exception as exc:  # the model is somebody's own code: anything can come out of it
        raise RegistryError(f"{uri} could not be loaded: {type(exc).__name__}.") from exc
    return Served(model, columns_of(model.metadata.signature, uri))
